from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from graph.pipeline import Pipeline
from graph.tasks import Task
from training.confusion import confusion, draw
from training.data import Row


def test_lines_are_labels_and_columns_are_answers(tiny_pipeline: Pipeline) -> None:
    task = tiny_pipeline.tasks[0]
    texts = ["apple", "bread", "cheese", "dog"]
    answered = [list(scores.values()) for scores in (a[task.name] for a in tiny_pipeline(texts))]
    columns = [scores.index(max(scores)) for scores in answered]
    matrix = confusion(tiny_pipeline, task, [Row(text, 2, "own") for text in texts])
    assert matrix.shape == (len(task.labels), len(task.labels))
    assert matrix[2].tolist() == [columns.count(i) for i in range(len(task.labels))]
    assert matrix.sum() == 4


@pytest.mark.parametrize("classes", [2, 33])
def test_a_picture_is_large_enough_for_its_labels(tmp_path: Path, classes: int) -> None:
    task = Task(name="wish", labels=tuple(f"label {i}" for i in range(classes)), kind="single")
    matrix = np.eye(classes, dtype=np.int64) * 3
    matrix[0] = 0  # a label without rows
    draw(task, matrix, tmp_path / "wish.png")
    height, width, _ = imread(tmp_path / "wish.png").shape
    assert min(height, width) >= 30 * classes
