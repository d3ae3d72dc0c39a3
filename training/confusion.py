"""Pictures of what is taken for what: a confusion matrix a task."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from graph.pipeline import Pipeline
from graph.tasks import Task
from training.data import Row, Split, read_rows
from training.evaluate import pool

# Above so many labels numbers in the cells are too small to read.
NUMBERED_LABELS = 16


def draw_split(pipeline: Pipeline, data: Path, split: Split, folder: Path) -> None:
    """Write `<task>.png` for each task of the pipeline that is of kind single.

    Raises:
        OSError: rows or folder are not there.
        ValueError: a row is wrong.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for task in (task for task in pipeline.tasks if task.kind == "single"):
        draw(task, confusion(pipeline, task, read_rows(data, task, split)), folder / f"{task.name}.png")


def confusion(pipeline: Pipeline, task: Task, rows: Sequence[Row]) -> NDArray[np.int64]:
    """Int64 `(classes, classes)`: how many rows of the label of each line were given the label of each column."""
    answered = pipeline.heads[task.name](pool(pipeline, rows)).argmax(axis=1)
    matrix: NDArray[np.int64] = confusion_matrix([row.label for row in rows], answered, labels=range(len(task.labels)))
    return matrix


def draw(task: Task, matrix: NDArray[np.int64], path: Path) -> None:
    """Write the picture: each cell shaded by its share of its line."""
    classes = len(task.labels)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    size = 3 + 0.35 * classes
    figure = Figure(figsize=(size, size), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(classes), task.labels, rotation=90, fontsize=8)
    axes.set_yticks(range(classes), task.labels, fontsize=8)
    axes.set(xlabel="answered", ylabel="labelled", title=task.name)
    if classes <= NUMBERED_LABELS:
        for (i, j), count in np.ndenumerate(matrix):
            axes.text(
                j, i, str(count), ha="center", va="center", fontsize=7, color="white" if shares[i, j] > 0.5 else "black"
            )
    figure.savefig(path)
