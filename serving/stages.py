"""The stages behind the ingress as deployments; `trips.py` says which placement has which.

Each answers with what it computed and with the seconds that it took. Thin: each opens the model directory, builds its
part of graph/, and calls it. Replicas of the ONNX runtime import neither torch nor transformers.
"""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from ray import serve

from graph.encoder import Encoder, load_runtime
from graph.heads import load_heads
from graph.model_directory import ModelDirectory
from graph.tokenizer import TokenBatch, Tokenizer
from serving.batching import Batcher, Limits
from serving.observability.clock import Seconds
from serving.observability.discreet import discreet
from serving.settings import Settings
from serving.threads import in_thread
from serving.trips import Heads, Probabilities


@serve.deployment
class TokenizerStage:
    """Utterances to a `TokenBatch`."""

    def __init__(self, settings: Settings) -> None:
        model = ModelDirectory.open(settings.model_path, settings.tasks_path)
        self._tokenizer = Tokenizer(model.file("tokenizer.json"), settings.max_tokens)

    async def __call__(self, texts: Sequence[str]) -> tuple[TokenBatch, Seconds]:
        """Tokenize in a thread: a long utterance takes milliseconds, and the event loop has others to serve."""
        began = time.perf_counter()
        with discreet():
            tokens = await in_thread(self._tokenizer, texts)
        return tokens, {"tokenize": time.perf_counter() - began}


@serve.deployment
class EncoderStage:
    """A `TokenBatch` to pooled vectors."""

    def __init__(self, settings: Settings) -> None:
        model = ModelDirectory.open(settings.model_path, settings.tasks_path)
        self._encoder = CoalescingEncoder(model, settings)

    async def __call__(self, tokens: TokenBatch) -> tuple[NDArray[np.float32], Seconds]:
        """Returns float32 `(n, hidden_size)`."""
        return await self._encoder(tokens)

    def check_health(self) -> None:
        """Called by Serve; raises when a run has not come back for too long."""
        self._encoder.check_progress()


@serve.deployment
class EncoderAndHeadsStage:
    """A `TokenBatch` to the answers of heads."""

    def __init__(self, settings: Settings) -> None:
        model = ModelDirectory.open(settings.model_path, settings.tasks_path)
        self._encoder = CoalescingEncoder(model, settings)
        self._heads = load_heads(model)

    async def __call__(self, tokens: TokenBatch, heads: Heads) -> tuple[Probabilities, Seconds]:
        """See `Probabilities`; the heads take microseconds, so they run on the event loop."""
        pooled, seconds = await self._encoder(tokens)
        began = time.perf_counter()
        with discreet():
            probabilities = {task: self._heads[task].probabilities(pooled, heads[task]) for task in heads}
        return probabilities, seconds | {"heads": time.perf_counter() - began}

    def check_health(self) -> None:
        """Called by Serve; raises when a run has not come back for too long."""
        self._encoder.check_progress()


@serve.deployment
class HeadStage:
    """Pooled vectors to the probabilities of one task, before its rule."""

    def __init__(self, settings: Settings, task: str) -> None:
        model = ModelDirectory.open(settings.model_path, settings.tasks_path)
        self._head = load_heads(model)[task]

    async def __call__(
        self, pooled: NDArray[np.float32], temperature: float | None
    ) -> tuple[NDArray[np.float32], Seconds]:
        """From `(n, hidden_size)` to `(n, classes)`; microseconds, so on the event loop."""
        began = time.perf_counter()
        with discreet():
            probabilities = self._head.probabilities(pooled, temperature)
        return probabilities, {"heads": time.perf_counter() - began}


class CoalescingEncoder:
    """The graph's encoder in runs that join the batches of several ingress replicas.

    Args:
        model: the model directory.
        settings: runtime, threads and the token budget of a run.
    """

    def __init__(self, model: ModelDirectory, settings: Settings) -> None:
        self._encoder = Encoder(load_runtime(settings.runtime, model, settings.encoder_threads))
        self._answer_seconds = settings.answer_seconds
        # One slot: the runtime uses all threads that the replica has, and what comes meanwhile joins the next run.
        self._batcher: Batcher[TokenBatch, tuple[NDArray[np.float32], float]] = Batcher(
            self._run,
            cost=lambda tokens: len(tokens.ids),
            limits=Limits(budget=settings.encoder_batch_tokens, slots=1),
        )

    async def __call__(self, tokens: TokenBatch) -> tuple[NDArray[np.float32], Seconds]:
        """Returns float32 `(n, hidden_size)`."""
        began = time.perf_counter()
        pooled, run = await self._batcher.submit(tokens)
        return pooled, {"encode-wait": time.perf_counter() - began - run, "encode": run}

    def check_progress(self) -> None:
        """Raise RuntimeError when a run has not come back for too long."""
        self._batcher.check_progress(self._answer_seconds)

    async def _run(self, batches: Sequence[TokenBatch]) -> list[tuple[NDArray[np.float32], float]]:
        began = time.perf_counter()
        with discreet():
            pooled = await in_thread(self._encoder, TokenBatch.concatenate(batches))
        run = time.perf_counter() - began
        ends = np.cumsum([len(batch) for batch in batches])
        return [(rows, run) for rows in np.split(pooled, ends[:-1])]
