"""What the graph answers to one request: arrays, from which each route writes JSON of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from graph.heads import apply_rule
from graph.tasks import Task
from serving.observability.clock import Seconds
from serving.rounded import rounded_json
from serving.trips import Outcome, Probabilities


@dataclass(frozen=True)
class Batch:
    """The outcome of a trip, shared by all requests that were in it: what one of them needs is there for the next.

    Attributes:
        tasks: those whose heads were computed, in contract order, with the rules in force.
        outcome: of the trip.
    """

    tasks: tuple[Task, ...]
    outcome: Outcome

    @cached_property
    def ruled(self) -> Probabilities:
        """Float32 `(n, classes)` a task, after the rule."""
        return {task.name: apply_rule(task, self.outcome.probabilities[task.name]) for task in self.tasks}

    @cached_property
    def rounded(self) -> list[str]:
        """See `rounded_json`. For the whole batch at once: a call of numpy costs as much as many rows."""
        return rounded_json(self.tasks, self.ruled)


@dataclass(frozen=True)
class Part:
    """The rows of one request in one batch.

    Attributes:
        batch: shared with other requests.
        rows: which of its rows.
        queued: seconds that the request waited for the batch to leave.
    """

    batch: Batch
    rows: slice
    queued: float


@dataclass(frozen=True)
class Answer:
    """Scores of the n utterances of a request, in order.

    Attributes:
        tasks: those asked for, in contract order, with the rules in force.
        parts: one a batch that the request travelled in; none for a request without utterances.
    """

    tasks: tuple[Task, ...]
    parts: Sequence[Part]

    def rounded(self) -> str:
        """A JSON list of annotations as the original writes them; for requests that ask for all tasks."""
        return f"[{','.join(row for part in self.parts for row in part.batch.rounded[part.rows])}]"

    def scores(self, task: Task, raw: bool = False) -> NDArray[np.float32]:
        """Float32 `(n, classes)`: probabilities of a task, `raw` before its rule and otherwise after it."""
        empty = np.empty((0, len(task.labels)), dtype=np.float32)
        chosen = [
            (part.batch.outcome.probabilities if raw else part.batch.ruled)[task.name][part.rows] for part in self.parts
        ]
        return np.concatenate([empty, *chosen])

    @property
    def tokens(self) -> NDArray[np.int32]:
        """Int32 `(n,)`: tokens an utterance, special tokens included, after the cut."""
        return np.concatenate([np.empty(0, np.int32), *(part.batch.outcome.tokens[part.rows] for part in self.parts)])

    @property
    def uncut(self) -> NDArray[np.int32]:
        """Int32 `(n,)`: tokens that an utterance would have without the cut."""
        return np.concatenate([np.empty(0, np.int32), *(part.batch.outcome.uncut[part.rows] for part in self.parts)])

    @property
    def seconds(self) -> list[Seconds]:
        """Where the time went, one a part."""
        return [{"queue": part.queued} | part.batch.outcome.seconds for part in self.parts]
