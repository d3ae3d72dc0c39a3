"""One trip of a batch through the graph, for each placement: what is called in this process, what in others.

    split    tokenizer, encoder and every head are deployments of their own
    packed   the ingress tokenizes; encoder and heads share a deployment: one call a batch
    fused    everything in the ingress: no call at all

The stages are the same ones in the same order; only the place where they run differs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray.serve.handle import DeploymentHandle

from graph.model_directory import ModelDirectory
from graph.pipeline import Pipeline, load_pipeline
from graph.tokenizer import TokenBatch, Tokenizer
from serving.settings import Settings

Probabilities = dict[str, NDArray[np.float32]]
"""By task name, in contract order: float32 `(n, classes)`."""

Trip = Callable[[Sequence[str]], Awaitable[Probabilities]]
"""From n utterances to the answers of all heads."""

ENCODER = "Encoder"
TOKENIZER = "Tokenizer"
ENCODER_AND_HEADS = "EncoderAndHeads"


def head_name(task: str) -> str:
    """Name of the deployment of a task's head."""
    return f"Head_{task}"


@dataclass(frozen=True)
class SplitTrip:
    """Tokenizer, then encoder, then all heads at once.

    Attributes:
        tokenize: n utterances to a `TokenBatch`.
        encode: that to pooled vectors, float32 `(n, hidden_size)`.
        heads: by task name, those to probabilities, float32 `(n, classes)`.
    """

    tokenize: Callable[[Sequence[str]], Awaitable[TokenBatch]]
    encode: Callable[[TokenBatch], Awaitable[NDArray[np.float32]]]
    heads: Mapping[str, Callable[[NDArray[np.float32]], Awaitable[NDArray[np.float32]]]]

    async def __call__(self, texts: Sequence[str]) -> Probabilities:
        """See `Trip`."""
        tokens = await self.tokenize(texts)
        pooled = await self.encode(tokens)
        answers = await asyncio.gather(*(head(pooled) for head in self.heads.values()))
        return dict(zip(self.heads, answers, strict=True))


@dataclass(frozen=True)
class PackedTrip:
    """Tokenizer here, everything else in one call.

    Attributes:
        tokenizer: in this process.
        compute: a `TokenBatch` to the answers of all heads.
    """

    tokenizer: Tokenizer
    compute: Callable[[TokenBatch], Awaitable[Probabilities]]

    async def __call__(self, texts: Sequence[str]) -> Probabilities:
        """See `Trip`."""
        return await self.compute(await asyncio.to_thread(self.tokenizer, texts))


@dataclass(frozen=True)
class FusedTrip:
    """Everything here, in a thread, so that HTTP goes on meanwhile."""

    pipeline: Pipeline

    async def __call__(self, texts: Sequence[str]) -> Probabilities:
        """See `Trip`."""
        return await asyncio.to_thread(self.pipeline.probabilities, texts)


def make_trip(settings: Settings, deployments: Mapping[str, "DeploymentHandle[Any]"]) -> Trip:
    """The trip of the placement that the settings name.

    Args:
        settings: the operator's choices.
        deployments: handles of what this placement deploys besides the ingress, by deployment name.
    """
    model = ModelDirectory.open(settings.model_path, settings.tasks_path)
    if settings.placement == "fused":
        return FusedTrip(load_pipeline(model, settings.runtime, settings.max_tokens, settings.encoder_threads))
    if settings.placement == "packed":
        tokenizer = Tokenizer(model.file("tokenizer.json"), settings.max_tokens)
        return PackedTrip(tokenizer, deployments[ENCODER_AND_HEADS].remote)
    return SplitTrip(
        deployments[TOKENIZER].remote,
        deployments[ENCODER].remote,
        {task.name: deployments[head_name(task.name)].remote for task in model.tasks},
    )
