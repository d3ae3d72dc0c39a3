"""What annotates: the graph in this process, or a service. Both give full-precision scores of the same weights."""

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from annotator.exits import Exit, Failure
from annotator.results import Labels
from graph.merge import Annotation

# Texts in one call: for the graph enough to sort by length, for a service a full batch of its own.
LOCAL_TEXTS = 256
SERVICE_TEXTS = 64
SERVICE_CALLS = 4


class Engine(Protocol):
    """Annotates lists of texts.

    Attributes:
        labels: by task, in contract order; only of the tasks asked for.
        version: of the weights.
        texts: best number of texts in a call.
        calls: calls that may be under way at once.
    """

    labels: Labels
    version: str
    texts: int
    calls: int

    def __call__(self, texts: Sequence[str]) -> list[Annotation]:
        """Annotate; threads may call at once."""
        ...


class LocalEngine:
    """The graph in this process."""

    calls = 1

    def __init__(
        self, model: Path, tasks_file: Path, tasks: Sequence[str], threads: int, texts: int = LOCAL_TEXTS
    ) -> None:
        from graph.model_directory import ModelDirectory
        from graph.pipeline import load_pipeline

        opened = ModelDirectory.open(model, tasks_file)
        pipeline = load_pipeline(opened, threads=threads)
        check_names(tasks, pipeline.heads)
        chosen = tuple(task for task in pipeline.tasks if not tasks or task.name in tasks)
        self._pipeline = replace(
            pipeline, tasks=chosen, heads={task.name: pipeline.heads[task.name] for task in chosen}
        )
        self.labels: Labels = {task.name: task.labels for task in chosen}
        self.version = opened.version
        self.texts = texts

    def __call__(self, texts: Sequence[str]) -> list[Annotation]:
        """See `Engine`."""
        return self._pipeline(texts)


class ServiceEngine:
    """A service that runs already, here or elsewhere."""

    calls = SERVICE_CALLS

    def __init__(self, url: str, key: str | None, tasks: Sequence[str], texts: int = SERVICE_TEXTS) -> None:
        from annotator.client import Client

        self.texts = texts
        self._client = Client(url, key=key, batch=texts)
        served = {task.name: task.labels for task in self._client.tasks()}
        check_names(tasks, served)
        self.labels: Labels = {name: labels for name, labels in served.items() if not tasks or name in tasks}
        self.version = self._client.model().version

    def __call__(self, texts: Sequence[str]) -> list[Annotation]:
        """See `Engine`."""
        annotations = self._client.annotate(texts, tasks=list(self.labels))
        return [{task: answer.scores for task, answer in annotation.tasks.items()} for annotation in annotations]


def check_names(asked: Iterable[str], there: Collection[str]) -> None:
    """See that each task asked for is there.

    Raises:
        Failure: one is not.
    """
    for name in asked:
        if name not in there:
            raise Failure(f"no task {name}; there are: {', '.join(there)}", Exit.USAGE)


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))
