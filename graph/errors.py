"""What can be wrong with what the graph is given to work with.

GraphError
├── TasksError      the task file cannot be read or contradicts itself
└── ModelError      the model directory is missing, altered, of another format, or of other tasks
"""


class GraphError(Exception):
    """Base of all errors of this package; the message is one line that a person can act on."""


class TasksError(GraphError):
    """The task file cannot be read or contradicts itself."""


class ModelError(GraphError):
    """The model directory is missing, altered, of another format version, or made for other tasks."""
