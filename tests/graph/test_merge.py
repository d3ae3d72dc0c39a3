import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.merge import merge
from graph.tasks import Task

names = st.text("abcdefgh_", min_size=1, max_size=8)


@st.composite
def task_tuples(draw: st.DrawFn) -> tuple[Task, ...]:
    return tuple(
        Task(name=name, labels=tuple(draw(st.lists(names, min_size=2, max_size=6, unique=True))), kind="single")
        for name in draw(st.lists(names, min_size=1, max_size=5, unique=True))
    )


def make_probabilities(
    tasks: tuple[Task, ...], rows: int, seed: int
) -> dict[str, np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    random = np.random.default_rng(seed)
    # In another order than the tasks': the order of the answer is not that of the mapping.
    return {task.name: random.random((rows, len(task.labels)), dtype=np.float32) for task in reversed(tasks)}


@given(task_tuples(), st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_every_value_lands_at_its_utterance_task_and_label_in_contract_order(
    tasks: tuple[Task, ...], rows: int, seed: int
) -> None:
    probabilities = make_probabilities(tasks, rows, seed)
    annotations = merge(tasks, probabilities)
    assert len(annotations) == rows
    for i, annotation in enumerate(annotations):
        assert list(annotation) == [task.name for task in tasks]
        for task in tasks:
            assert list(annotation[task.name]) == list(task.labels)
            assert list(annotation[task.name].values()) == probabilities[task.name][i].tolist()


def test_no_utterances_make_no_annotations() -> None:
    tasks = (Task(name="one", labels=("a", "b"), kind="single"),)
    assert merge(tasks, {"one": np.empty((0, 2), dtype=np.float32)}) == []


def test_heads_that_disagree_on_the_number_of_utterances_are_refused() -> None:
    tasks = tuple(Task(name=name, labels=("a", "b"), kind="single") for name in ("one", "two"))
    with pytest.raises(ValueError, match="shorter"):
        merge(tasks, {"one": np.zeros((2, 2), dtype=np.float32), "two": np.zeros((1, 2), dtype=np.float32)})
