import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from graph.tasks import Task
from serving.rounded import rounded_json

NAMES = st.text("ab_7", min_size=1, max_size=8)
LABELS = st.text(min_size=1, max_size=8)


@st.composite
def task_tuples(draw: st.DrawFn) -> tuple[Task, ...]:
    return tuple(
        Task(name=name, labels=tuple(draw(st.lists(LABELS, min_size=2, max_size=6, unique=True))), kind="single")
        for name in draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    )


@given(task_tuples(), st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_it_is_json_of_the_probabilities_rounded_to_two_decimals_in_contract_order(
    tasks: tuple[Task, ...], rows: int, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    exact = {task.name: draw.random((rows, len(task.labels)), dtype=np.float32) for task in reversed(tasks)}
    annotations = [json.loads(text) for text in rounded_json(tasks, exact)]
    assert len(annotations) == rows
    for i, annotation in enumerate(annotations):
        assert list(annotation) == [task.name for task in tasks]
        for task in tasks:
            assert list(annotation[task.name]) == list(task.labels)
            rounded = np.round(exact[task.name][i].astype(np.float64), 2).tolist()
            assert list(annotation[task.name].values()) == rounded


def test_every_number_is_written_as_json_libraries_write_it() -> None:
    task = Task(name="task", labels=("100 %", 'a "quote"'), kind="multi")
    numbers = [i / 100 for i in range(101)]
    rows = rounded_json([task], {"task": np.array([[number, 1.0] for number in numbers], dtype=np.float32)})
    for number, row in zip(numbers, rows, strict=True):
        assert row == json.dumps({"task": {"100 %": number, 'a "quote"': 1.0}}, separators=(",", ":"))
