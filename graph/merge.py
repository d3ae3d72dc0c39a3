"""The heads' arrays to one annotation an utterance, in contract order."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from graph.tasks import Task

Annotation = dict[str, dict[str, float]]
"""Task name to label to probability; tasks and labels in contract order."""


def merge(
    tasks: Sequence[Task], probabilities: Mapping[str, NDArray[np.float32]], decimals: int | None = None
) -> list[Annotation]:
    """Join the answers of the heads.

    Args:
        tasks: in contract order.
        probabilities: float32 `(n, classes)` a task, the same n for all.
        decimals: round to so many decimals; None keeps full precision.

    Returns:
        n annotations.
    """
    columns: list[list[dict[str, float]]] = []
    for task in tasks:
        # Rounded as float64: the nearest double of 0.07 prints as 0.07, the nearest float32 does not.
        scores = probabilities[task.name].astype(np.float64)
        rows = (scores if decimals is None else np.round(scores, decimals)).tolist()
        columns.append([dict(zip(task.labels, row, strict=True)) for row in rows])
    names = [task.name for task in tasks]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
