from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from graph.heads import Head, apply_rule, load_heads, sigmoid, softmax
from graph.model_directory import ModelDirectory
from graph.tasks import DropBelow, Rule, Task
from tests import TASKS_FILE

FloatArray = NDArray[np.float32]

seeds = st.integers(0, 2**32 - 1)


def make_head(classes: int, hidden_size: int, seed: int, temperature: float = 1.0) -> Head:
    random = np.random.default_rng(seed)
    return Head(
        Task(name="any", labels=tuple(f"label_{i}" for i in range(classes)), kind="single"),
        weight=random.normal(size=(classes, hidden_size)).astype(np.float32),
        bias=random.normal(size=classes).astype(np.float32),
        temperature=temperature,
    )


def make_pooled(rows: int, hidden_size: int, seed: int) -> FloatArray:
    return np.tanh(np.random.default_rng(seed).normal(size=(rows, hidden_size))).astype(np.float32)


@given(rows=st.integers(0, 9), classes=st.integers(2, 40), hidden_size=st.integers(1, 400), seed=seeds)
def test_a_head_answers_a_distribution_a_row(rows: int, classes: int, hidden_size: int, seed: int) -> None:
    head, pooled = make_head(classes, hidden_size, seed), make_pooled(rows, hidden_size, seed)
    probabilities = head(pooled)
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (rows, classes)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    logits = (pooled.astype(np.float64) @ head.weight.T + head.bias).argmax(axis=1)
    np.testing.assert_allclose(probabilities[np.arange(rows), logits], probabilities.max(axis=1, initial=0), atol=1e-5)


@given(
    rows=st.integers(1, 70),
    classes=st.integers(2, 40),
    hidden_size=st.sampled_from([1, 16, 17, 312, 384, 768]),
    seed=seeds,
    data=st.data(),
)
def test_a_rows_probabilities_do_not_depend_on_other_rows_in_any_bit(
    rows: int, classes: int, hidden_size: int, seed: int, data: st.DataObject
) -> None:
    head, pooled = make_head(classes, hidden_size, seed), make_pooled(rows, hidden_size, seed)
    together = head(pooled)
    chosen = data.draw(st.integers(0, rows - 1))
    assert np.array_equal(head(pooled[[chosen]])[0], together[chosen])
    assert np.array_equal(head(pooled[chosen:]), together[chosen:])


def test_a_high_temperature_levels_and_a_low_one_sharpens() -> None:
    pooled = make_pooled(20, 16, seed=1)
    cold, plain, hot = (make_head(5, 16, seed=1, temperature=t)(pooled) for t in (0.5, 1.0, 2.0))
    assert (cold.argmax(axis=1) == hot.argmax(axis=1)).all()
    assert (cold.max(axis=1) > plain.max(axis=1)).all()
    assert (plain.max(axis=1) > hot.max(axis=1)).all()
    # Logits divided by 2 are the square root of the odds.
    roots: FloatArray = np.sqrt(plain)
    np.testing.assert_allclose(hot, roots / roots.sum(axis=1, keepdims=True), rtol=1e-4)


def test_softmax_of_huge_logits_stays_finite() -> None:
    # Warnings are errors here: an overflow would fail the test.
    shares = softmax(np.array([[1e38, -1e38], [1e4, 1e4], [-1e38, -1e38]], dtype=np.float32))
    assert shares.tolist() == [[1, 0], [0.5, 0.5], [0.5, 0.5]]


def test_sigmoid_of_huge_logits_stays_within_0_and_1() -> None:
    shares = sigmoid(np.array([[-3e38, -1e4, 0, 1e4, 3e38]], dtype=np.float32))
    assert shares.tolist() == [[0, 0, 0.5, 1, 1]]


@given(st.lists(st.floats(-80, 80, width=32), min_size=1, max_size=20))
def test_sigmoid_is_the_logistic_function(logits: list[float]) -> None:
    shares = sigmoid(np.array([logits], dtype=np.float32))
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares[0], 1 / (1 + np.exp(-np.array(logits, dtype=np.float64))), atol=1e-6)


def test_a_head_of_kind_multi_scores_each_label_by_itself() -> None:
    task = Task(name="any", labels=("a", "b", "c"), kind="multi")
    head = Head(task, weight=np.eye(3, dtype=np.float32), bias=np.zeros(3, dtype=np.float32))
    logits = np.array([[2, 2, -1]], dtype=np.float32)
    assert np.array_equal(head(logits), sigmoid(logits))


RULED = Task(
    name="any",
    labels=("a", "b", "rest"),
    kind="single",
    rule=Rule(drop_below=DropBelow(label="rest", threshold=0.5)),
)


def test_a_label_below_its_threshold_is_dropped_and_the_others_share_its_part() -> None:
    ruled = apply_rule(RULED, np.array([[0.3, 0.3, 0.4], [0.51, 0, 0.49]], dtype=np.float32))
    np.testing.assert_allclose(ruled, [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], atol=1e-6)


@pytest.mark.parametrize("row", [[0.25, 0.25, 0.5], [0.1, 0.2, 0.7], [0, 0, 1]])
def test_a_label_at_or_above_its_threshold_leaves_the_row_untouched(row: list[float]) -> None:
    probabilities = np.array([row], dtype=np.float32)
    assert np.array_equal(apply_rule(RULED, probabilities), probabilities)


@given(rows=st.integers(1, 50), seed=seeds)
def test_the_rule_keeps_distributions_and_alters_only_rows_below_the_threshold(rows: int, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(scale=3, size=(rows, 3)).astype(np.float32)
    probabilities = softmax(logits)
    before = probabilities.copy()
    ruled = apply_rule(RULED, probabilities)
    assert np.array_equal(probabilities, before), "the argument is not written to"
    below = before[:, 2] < 0.5
    assert np.array_equal(ruled[~below], before[~below])
    assert (ruled[below, 2] == 0).all()
    np.testing.assert_allclose(ruled.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(ruled[below, 0] * before[below, 1], ruled[below, 1] * before[below, 0], atol=1e-5)


def test_a_task_without_a_rule_keeps_its_probabilities() -> None:
    head = make_head(3, 4, seed=1)
    pooled = make_pooled(2, 4, seed=1)
    assert np.array_equal(head(pooled), head.probabilities(pooled))


def test_a_head_applies_the_rule_of_its_task() -> None:
    head = Head(RULED, weight=np.zeros((3, 4), dtype=np.float32), bias=np.zeros(3, dtype=np.float32))
    pooled = make_pooled(1, 4, seed=1)
    np.testing.assert_allclose(head.probabilities(pooled), [[1 / 3, 1 / 3, 1 / 3]], rtol=1e-6)
    np.testing.assert_allclose(head(pooled), [[0.5, 0.5, 0]], rtol=1e-6)


def test_a_model_directory_has_a_head_for_every_task_in_contract_order(tiny_model: Path) -> None:
    model = ModelDirectory.open(tiny_model, TASKS_FILE)
    heads = load_heads(model)
    assert list(heads) == [task.name for task in model.tasks]
    for task in model.tasks:
        head = heads[task.name]
        assert head.task == task
        assert head.weight.shape == (len(task.labels), model.manifest.hidden_size)
        assert head.bias.shape == (len(task.labels),)
        assert head.weight.dtype == head.bias.dtype == np.float32
        assert head.temperature == model.manifest.temperatures[task.name]
