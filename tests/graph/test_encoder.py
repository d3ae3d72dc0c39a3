import math
from collections.abc import Iterable
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from graph.encoder import CALL_COST, Encoder, Runtime, load_runtime, plan_sub_batches
from graph.model_directory import ModelDirectory
from graph.pipeline import Pipeline
from graph.tokenizer import TokenBatch
from tests import TASKS_FILE
from tests.graph.strategies import texts, token_rows

budgets = st.integers(1, 300)


class Fingerprints:
    """A runtime whose answer tells which tokens a row had, and in which order; padding must not show."""

    hidden_size = 3

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.stack([fingerprint(row[marked == 1]) for row, marked in zip(ids, mask, strict=True)])


def fingerprint(row: NDArray[np.int64] | list[int]) -> NDArray[np.float32]:
    return np.array([len(row), np.sum(row), np.dot(row, np.arange(len(row)))], dtype=np.float32)


@given(st.lists(st.integers(1, 64), max_size=60), budgets)
def test_sub_batches_hold_every_row_once_and_stay_in_the_budget(lengths: list[int], budget: int) -> None:
    plan = plan_sub_batches(np.array(lengths, dtype=np.int32), budget)
    assert sorted(row for rows in plan for row in rows) == list(range(len(lengths)))
    for rows in plan:
        padded = len(rows) * max(lengths[row] for row in rows)
        assert padded <= budget or len(rows) == 1


def cost(sub_batches: Iterable[list[int]]) -> int:
    return sum(CALL_COST + len(lengths) * max(lengths) for lengths in sub_batches)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=9))
def test_no_other_cut_of_the_sorted_rows_is_cheaper(lengths: list[int]) -> None:
    plan = plan_sub_batches(np.array(lengths, dtype=np.int32), token_budget=40 * 9)
    ordered = sorted(lengths)
    cuts = [cut for k in range(len(ordered)) for cut in combinations(range(1, len(ordered)), k)]
    cheapest = min(cost(ordered[i:j] for i, j in pairwise([0, *cut, len(ordered)])) for cut in cuts)
    assert cost([lengths[row] for row in rows] for rows in plan) == cheapest


@given(st.integers(1, 64), st.integers(1, 60), budgets)
def test_rows_of_one_length_make_no_more_calls_than_the_budget_asks_for(width: int, rows: int, budget: int) -> None:
    plan = plan_sub_batches(np.full(rows, width, dtype=np.int32), budget)
    assert len(plan) == math.ceil(rows / max(1, budget // width))


def test_a_long_row_is_not_a_reason_to_pad_the_short_ones() -> None:
    plan = plan_sub_batches(np.array([8, 30, 8, 9], dtype=np.int32), token_budget=1024)
    assert [rows.tolist() for rows in plan] == [[0, 2, 3], [1]]


@given(token_rows, budgets)
def test_any_batch_comes_back_in_order(rows: list[list[int]], budget: int) -> None:
    pooled = Encoder(Fingerprints(), budget)(TokenBatch.from_rows(rows))
    assert pooled.dtype == np.float32
    assert pooled.shape == (len(rows), Fingerprints.hidden_size)
    for vector, row in zip(pooled, rows, strict=True):
        assert vector.tolist() == fingerprint(row).tolist()


@pytest.fixture(scope="module")
def runtime(tiny_model: Path) -> Runtime:
    return load_runtime("onnx", ModelDirectory.open(tiny_model, TASKS_FILE))


utterances = texts | st.text("dog eagle you?", max_size=120)


@given(batch=st.lists(utterances, min_size=1, max_size=12), budget=budgets, data=st.data())
def test_an_utterance_has_the_same_scores_alone_and_in_any_batch(
    tiny_pipeline: Pipeline, runtime: Runtime, batch: list[str], budget: int, data: st.DataObject
) -> None:
    chosen = data.draw(st.integers(0, len(batch) - 1))
    encoder = Encoder(runtime, budget)
    alone = encoder(tiny_pipeline.tokenizer([batch[chosen]]))
    together = encoder(tiny_pipeline.tokenizer(batch))
    assert alone.dtype == together.dtype == np.float32
    for head in tiny_pipeline.heads.values():
        # Before the rule: it is a step, at which the smallest difference would show as a large one.
        np.testing.assert_allclose(
            head.probabilities(together)[chosen], head.probabilities(alone)[0], rtol=0, atol=1e-5
        )


def test_the_tiny_model_tells_utterances_apart(tiny_pipeline: Pipeline) -> None:
    # Otherwise the test above would show nothing.
    dog, eagle = tiny_pipeline.pooled(["dog", "the eagle is here"])
    assert np.abs(dog - eagle).max() > 0.1
