import asyncio
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from graph.pipeline import Pipeline
from graph.tokenizer import TokenBatch
from serving.observability.clock import Seconds
from serving.settings import Placement, Settings
from serving.trips import (
    ENCODER,
    ENCODER_AND_HEADS,
    TOKENIZER,
    FusedTrip,
    Heads,
    Probabilities,
    Trip,
    head_name,
    make_trip,
)

TEXTS = ["hello", "", "what do you think about dogs and cats", "x y " * 150]
STAGES = {"tokenize": 0.25, "encode": 0.5, "encode-wait": 0.125, "heads": 0.0625}
HOPS = {
    "split": {"tokenize-hop", "encode-hop", "heads-hop", "encode-wait"},
    "packed": {"encode-hop", "encode-wait"},
    "fused": set[str](),
}


class Handle:
    """Stands for the handle of a deployment that runs in this process, and says that its stages took so long."""

    def __init__(self, call: Callable[..., Any], *stages: str) -> None:
        self._call = call
        self._stages = stages
        self.calls = 0

    def options(self, **_: Any) -> "Handle":
        return self

    async def remote(self, *arguments: Any) -> tuple[Any, Seconds]:
        self.calls += 1
        return self._call(*arguments), {stage: STAGES[stage] for stage in self._stages}


def deployments_of(pipeline: Pipeline) -> dict[str, Any]:
    def encode_and_heads(tokens: TokenBatch, heads: Heads) -> Probabilities:
        pooled = pipeline.encoder(tokens)
        return {task: pipeline.heads[task].probabilities(pooled, heads[task]) for task in heads}

    deployments = {
        TOKENIZER: Handle(pipeline.tokenizer, "tokenize"),
        ENCODER: Handle(pipeline.encoder, "encode-wait", "encode"),
        ENCODER_AND_HEADS: Handle(encode_and_heads, "encode-wait", "encode", "heads"),
    }
    return deployments | {head_name(task): Handle(head.probabilities, "heads") for task, head in pipeline.heads.items()}


def local_trip(placement: Placement, model: Path, deployments: dict[str, Any]) -> Trip:
    return make_trip(Settings(model=model, placement=placement), deployments)


def expected_of(pipeline: Pipeline, heads: Heads) -> dict[str, NDArray[np.float32]]:
    pooled = pipeline.pooled(TEXTS)
    return {task: pipeline.heads[task].probabilities(pooled, heads[task]) for task in heads}


@pytest.mark.parametrize("placement", get_args(Placement))
async def test_every_placement_computes_what_the_pipeline_computes(
    placement: Placement, tiny_model: Path, tiny_pipeline: Pipeline
) -> None:
    heads = dict.fromkeys(tiny_pipeline.heads)
    outcome = await local_trip(placement, tiny_model, deployments_of(tiny_pipeline))(TEXTS, heads)
    expected = expected_of(tiny_pipeline, heads)
    assert list(outcome.probabilities) == list(expected)
    for task, probabilities in expected.items():
        np.testing.assert_array_equal(outcome.probabilities[task], probabilities)
    assert outcome.tokens.tolist() == tiny_pipeline.tokenizer(TEXTS).lengths.tolist()
    assert outcome.uncut[3] > outcome.tokens[3] == 32


@pytest.mark.parametrize("placement", get_args(Placement))
async def test_only_the_heads_that_are_asked_for_are_called_with_their_temperatures(
    placement: Placement, tiny_model: Path, tiny_pipeline: Pipeline
) -> None:
    first, _, third, *_ = tiny_pipeline.heads
    deployments = deployments_of(tiny_pipeline)
    heads: Heads = {first: 2.5, third: None}
    outcome = await local_trip(placement, tiny_model, deployments)(TEXTS, heads)
    for task, probabilities in expected_of(tiny_pipeline, heads).items():
        np.testing.assert_array_equal(outcome.probabilities[task], probabilities)
    assert list(outcome.probabilities) == [first, third]
    called = {name for name, handle in deployments.items() if name.startswith("Head_") and handle.calls}
    assert called == ({head_name(first), head_name(third)} if placement == "split" else set())


async def test_a_head_that_fails_ends_the_calls_of_the_others(tiny_model: Path, tiny_pipeline: Pipeline) -> None:
    first, *others = tiny_pipeline.heads
    ended: list[str] = []

    class Head:
        """Fails, or never answers."""

        def __init__(self, task: str) -> None:
            self._task = task

        def options(self, **_: Any) -> "Head":
            return self

        def remote(self, *_: Any) -> "Head":
            return self

        def __await__(self) -> Generator[Any, None, None]:
            return self._answer().__await__()

        async def _answer(self) -> None:
            if self._task == first:
                raise LookupError(self._task)
            await asyncio.sleep(3600)

        def cancel(self) -> None:
            ended.append(self._task)

    deployments = deployments_of(tiny_pipeline) | {head_name(task): Head(task) for task in tiny_pipeline.heads}
    with pytest.raises(LookupError):
        await local_trip("split", tiny_model, deployments)(TEXTS, dict.fromkeys(tiny_pipeline.heads))
    assert sorted(ended) == sorted(others)


@pytest.mark.parametrize("placement", get_args(Placement))
async def test_the_tokenizer_alone_may_be_asked(
    placement: Placement, tiny_model: Path, tiny_pipeline: Pipeline
) -> None:
    deployments = deployments_of(tiny_pipeline)
    tokens = await local_trip(placement, tiny_model, deployments).tokenize(TEXTS)
    assert tokens.uncut.tolist() == tiny_pipeline.tokenizer(TEXTS).uncut.tolist()
    called = [name for name, handle in deployments.items() if handle.calls]
    assert called == ([TOKENIZER] if placement == "split" else [])


@pytest.mark.parametrize("placement", get_args(Placement))
async def test_a_trip_tells_stages_and_hops(placement: Placement, tiny_model: Path, tiny_pipeline: Pipeline) -> None:
    deployments = deployments_of(tiny_pipeline)
    outcome = await local_trip(placement, tiny_model, deployments)(TEXTS, dict.fromkeys(tiny_pipeline.heads))
    assert set(outcome.seconds) == {"tokenize", "encode", "heads"} | HOPS[placement]
    if placement == "split":
        assert STAGES.items() <= outcome.seconds.items()
        # These stages claim more time than the call took.
        assert outcome.seconds["encode-hop"] == pytest.approx(-STAGES["encode"] - STAGES["encode-wait"], abs=0.1)


async def test_http_goes_on_while_fused_computes_for_several_and_waits_for_nobody_with_a_single_client(
    tiny_pipeline: Pipeline,
) -> None:
    def tokenizer(texts: Sequence[str]) -> TokenBatch:
        in_loop.append(threading.current_thread() is threading.main_thread())
        return tiny_pipeline.tokenizer(texts)

    in_loop: list[bool] = []
    trip = FusedTrip(replace(tiny_pipeline, tokenizer=tokenizer))  # type: ignore[arg-type]
    heads = dict.fromkeys(tiny_pipeline.heads)
    for texts in (["one"], ["two"], ["three"], ["four", "five"], ["six"], ["seven"], ["a long one " * 100]):
        await trip(texts, heads)
    assert in_loop == [False, True, True, False, False, True, False], "in the loop once a second short one came alone"
