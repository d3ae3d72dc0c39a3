"""One trip of a batch through the graph, for each placement: what is called in this process, what in others.

    split    tokenizer, encoder and every head are deployments of their own
    packed   the ingress tokenizes; encoder and heads share a deployment: one call a batch
    fused    everything in the ingress: no call at all

The stages are the same ones in the same order; only the place where they run differs. A stage that runs elsewhere
answers with the seconds that it took, and what the call took besides is a hop.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from graph.model_directory import ModelDirectory
from graph.pipeline import Pipeline, load_pipeline
from graph.tokenizer import TokenBatch, Tokenizer
from serving.observability.clock import Seconds
from serving.settings import Settings
from serving.threads import in_thread

if TYPE_CHECKING:  # the launcher imports this module too, and Ray takes it a second
    from ray.serve.handle import DeploymentHandle

Called = TypeVar("Called")

Probabilities = dict[str, NDArray[np.float32]]
"""By task name, in contract order: float32 `(n, classes)`, before the task's rule."""

Heads = Mapping[str, float | None]
"""Which heads are computed, by task name, in contract order: the temperature of each, None for the weights' own."""

HeadAnswer = tuple[NDArray[np.float32], Seconds]
"""Of one head: float32 `(n, classes)`, and the seconds that it took."""

ENCODER = "Encoder"
TOKENIZER = "Tokenizer"
ENCODER_AND_HEADS = "EncoderAndHeads"

SHORT_CHARACTERS = 1000
"""A longer utterance takes milliseconds to tokenize, and never holds up the event loop."""


def head_name(task: str) -> str:
    """Name of the deployment of a task's head."""
    return f"Head_{task}"


@dataclass(frozen=True)
class Outcome:
    """What a trip brings back for n utterances.

    Attributes:
        probabilities: of the heads that were asked for.
        tokens: int32 `(n,)`, tokens an utterance, special tokens included.
        uncut: int32 `(n,)`, tokens that it would have without the limit.
        seconds: by stage.
    """

    probabilities: Probabilities
    tokens: NDArray[np.int32]
    uncut: NDArray[np.int32]
    seconds: Seconds


class Trip(Protocol):
    """From n utterances to the answers of the heads that are asked for.

    Attributes:
        least: utterances that are worth a trip of their own; up to so many leave together even where slots are idle.
    """

    least: ClassVar[int]

    async def __call__(self, texts: Sequence[str], heads: Heads) -> Outcome:
        """See `Outcome`; raises whatever a stage raises."""
        ...

    async def tokenize(self, texts: Sequence[str]) -> TokenBatch:
        """The first stage alone; raises whatever it raises."""
        ...


@dataclass(frozen=True)
class SplitTrip:
    """Tokenizer, then encoder, then all heads at once.

    Attributes:
        tokenizer: n utterances to a `TokenBatch`.
        encode: that to pooled vectors, float32 `(n, hidden_size)`.
        heads: by task name, those and a temperature to probabilities, float32 `(n, classes)`.
        least: eleven calls cost more than the encoder does for a few utterances.
    """

    tokenizer: Callable[[Sequence[str]], Awaitable[tuple[TokenBatch, Seconds]]]
    encode: Callable[[TokenBatch], Awaitable[tuple[NDArray[np.float32], Seconds]]]
    heads: Mapping[str, Callable[[NDArray[np.float32], float | None], Coroutine[Any, Any, HeadAnswer]]]
    least: ClassVar[int] = 32

    async def __call__(self, texts: Sequence[str], heads: Heads) -> Outcome:
        """See `Trip`."""
        began = time.perf_counter()
        tokens, seconds = await self.tokenizer(texts)
        _add_hop(seconds, "tokenize", began)
        began = time.perf_counter()
        pooled, encoding = await self.encode(tokens)
        _add_hop(encoding, "encode", began)
        began = time.perf_counter()
        answers = await all_or_none([self.heads[task](pooled, heads[task]) for task in heads])
        slowest = max((took for _, took in answers), key=lambda took: took["heads"])
        _add_hop(slowest, "heads", began)
        probabilities = {task: answer for task, (answer, _) in zip(heads, answers, strict=True)}
        return Outcome(probabilities, tokens.lengths, tokens.uncut, seconds | encoding | slowest)

    async def tokenize(self, texts: Sequence[str]) -> TokenBatch:
        """See `Trip`."""
        tokens, _ = await self.tokenizer(texts)
        return tokens


@dataclass(frozen=True)
class PackedTrip:
    """Tokenizer here, everything else in one call.

    Attributes:
        tokenizer: in this process.
        compute: a `TokenBatch` to the answers of the heads.
        least: a call costs about as much as encoding two utterances.
    """

    tokenizer: Tokenizer
    compute: Callable[[TokenBatch, Heads], Awaitable[tuple[Probabilities, Seconds]]]
    least: ClassVar[int] = 8

    async def __call__(self, texts: Sequence[str], heads: Heads) -> Outcome:
        """See `Trip`."""
        began = time.perf_counter()
        tokens = await self.tokenize(texts)
        tokenized = time.perf_counter()
        probabilities, seconds = await self.compute(tokens, heads)
        _add_hop(seconds, "encode", tokenized)
        return Outcome(probabilities, tokens.lengths, tokens.uncut, {"tokenize": tokenized - began} | seconds)

    async def tokenize(self, texts: Sequence[str]) -> TokenBatch:
        """See `Trip`."""
        return await in_thread(self.tokenizer, texts)


@dataclass
class FusedTrip:
    """Everything here, in a thread, so that HTTP goes on meanwhile; in the event loop where nobody else is there.

    Attributes:
        pipeline: all stages.
        least: there is no call, and a batch costs little besides its utterances.
    """

    pipeline: Pipeline
    least: ClassVar[int] = 4
    _last: int = field(default=0, init=False)

    async def __call__(self, texts: Sequence[str], heads: Heads) -> Outcome:
        """See `Trip`."""
        # One utterance after another, each alone, is what few clients make, and the way to a thread and back is a tenth
        # of their wait. Among many, one alone has company on its way, which a loop that computes would not let in.
        few = self._last == len(texts) == 1
        self._last = len(texts)
        if few and len(texts[0]) <= SHORT_CHARACTERS:
            return self._compute(texts, heads)
        return await in_thread(self._compute, texts, heads)

    async def tokenize(self, texts: Sequence[str]) -> TokenBatch:
        """See `Trip`."""
        return await in_thread(self.pipeline.tokenizer, texts)

    def _compute(self, texts: Sequence[str], heads: Heads) -> Outcome:
        began = time.perf_counter()
        tokens = self.pipeline.tokenizer(texts)
        tokenized = time.perf_counter()
        pooled = self.pipeline.encoder(tokens)
        encoded = time.perf_counter()
        probabilities = {task: self.pipeline.heads[task].probabilities(pooled, heads[task]) for task in heads}
        seconds = {
            "tokenize": tokenized - began,
            "encode": encoded - tokenized,
            "heads": time.perf_counter() - encoded,
        }
        return Outcome(probabilities, tokens.lengths, tokens.uncut, seconds)


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
        return PackedTrip(tokenizer, _call(deployments[ENCODER_AND_HEADS]))
    return SplitTrip(
        _call(deployments[TOKENIZER]),
        _call(deployments[ENCODER]),
        {task.name: _call(deployments[head_name(task.name)]) for task in model.tasks},
    )


def _call(deployment: "DeploymentHandle[Any]") -> Callable[..., Coroutine[Any, Any, Any]]:
    """Calls a deployment; a call that is cancelled here is cancelled there.

    By value over gRPC, and with the plain pickle: what travels are arrays, numbers and strings, which need no more.
    """
    deployment = deployment.options(
        _by_reference=False, request_serialization="pickle", response_serialization="pickle"
    )

    async def call(*arguments: object) -> Any:
        response: Any = deployment.remote(*arguments)
        try:
            return await response
        except asyncio.CancelledError:
            response.cancel()
            raise

    return call


async def all_or_none(calls: Iterable[Coroutine[Any, Any, Called]]) -> list[Called]:
    """What all calls answer; when one fails the others are cancelled, and it is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def _add_hop(seconds: Seconds, stage: str, began: float) -> None:
    """Note what a call took besides the seconds that the other side has measured."""
    seconds[f"{stage}-hop"] = time.perf_counter() - began - sum(seconds.values())
