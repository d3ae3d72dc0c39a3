"""The heads' arrays to one annotation an utterance, in contract order."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from graph.tasks import Task

Annotation = dict[str, dict[str, float]]
"""Task name to label to probability; tasks and labels in contract order."""


def merge(tasks: Sequence[Task], probabilities: Mapping[str, NDArray[np.float32]]) -> list[Annotation]:
    """Join the answers of the heads, at full precision.

    Args:
        tasks: in contract order.
        probabilities: float32 `(n, classes)` a task, the same n for all.

    Returns:
        n annotations.
    """
    columns: list[list[dict[str, float]]] = []
    for task in tasks:
        columns.append([dict(zip(task.labels, row, strict=True)) for row in probabilities[task.name].tolist()])
    names = [task.name for task in tasks]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
