from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from graph.pipeline import Pipeline
from graph.tokenizer import TokenBatch
from serving.settings import Placement, Settings
from serving.trips import ENCODER, ENCODER_AND_HEADS, TOKENIZER, Trip, head_name, make_trip

TEXTS = ["hello", "", "what do you think about dogs and cats", "x" * 300]


class Handle:
    """Stands for the handle of a deployment that runs in this process."""

    def __init__(self, call: Callable[[Any], Any]) -> None:
        self._call = call

    async def remote(self, argument: Any) -> Any:
        return self._call(argument)


def local_trip(placement: Placement, model: Path, pipeline: Pipeline) -> Trip:
    def encode_and_heads(tokens: TokenBatch) -> dict[str, NDArray[np.float32]]:
        return {task: head(pipeline.encoder(tokens)) for task, head in pipeline.heads.items()}

    deployments: dict[str, Any] = {
        TOKENIZER: Handle(pipeline.tokenizer),
        ENCODER: Handle(pipeline.encoder),
        ENCODER_AND_HEADS: Handle(encode_and_heads),
    }
    deployments |= {head_name(task): Handle(head) for task, head in pipeline.heads.items()}
    return make_trip(Settings(model=model, placement=placement), deployments)


@pytest.mark.parametrize("placement", get_args(Placement))
async def test_every_placement_computes_what_the_pipeline_computes(
    placement: Placement, tiny_model: Path, tiny_pipeline: Pipeline
) -> None:
    answers = await local_trip(placement, tiny_model, tiny_pipeline)(TEXTS)
    expected = tiny_pipeline.probabilities(TEXTS)
    assert list(answers) == list(expected)
    for task, probabilities in expected.items():
        np.testing.assert_array_equal(answers[task], probabilities)
