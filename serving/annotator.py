"""From the utterances of many requests to their annotations: batches, trips through the stages, merge, errors.

The stages are only ever called here, once a batch. Where they run is not known here: a stage is a function that can
be awaited.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from ray.exceptions import RayActorError
from ray.serve.exceptions import RayServeException

from graph.merge import Annotation, merge
from graph.tasks import Task
from graph.tokenizer import TokenBatch
from serving.batching import Batcher, Limits
from serving.errors import AnnotationFailed, AnnotatorError, Unavailable
from serving.settings import Settings
from serving.wire import DECIMALS

logger = logging.getLogger("ray.serve")


@dataclass(frozen=True)
class Stages:
    """The calls that make a trip through the graph.

    Attributes:
        tokenize: n utterances to a `TokenBatch`.
        encode: that to pooled vectors, float32 `(n, hidden_size)`.
        heads: by task name, those to probabilities, float32 `(n, classes)`.
    """

    tokenize: Callable[[Sequence[str]], Awaitable[TokenBatch]]
    encode: Callable[[TokenBatch], Awaitable[NDArray[np.float32]]]
    heads: Mapping[str, Callable[[NDArray[np.float32]], Awaitable[NDArray[np.float32]]]]


class Annotator:
    """Annotates requests, several at a time.

    Args:
        tasks: in contract order.
        stages: what is called for a batch.
        settings: sizes and limits.
    """

    def __init__(self, tasks: Sequence[Task], stages: Stages, settings: Settings) -> None:
        self._tasks = tasks
        self._stages = stages
        self._settings = settings
        self._batcher: Batcher[Sequence[str], list[Annotation]] = Batcher(
            self._annotate_batch,
            cost=len,
            limits=Limits(
                budget=settings.batch_utterances,
                slots=settings.batches_in_flight,
                waiting=settings.waiting_utterances,
            ),
        )

    async def __call__(self, texts: Sequence[str]) -> list[Annotation]:
        """Annotate the utterances of one request, rounded as the original rounds.

        Raises:
            Overloaded: too much is waiting.
            Unavailable: the stages do not answer.
            AnnotationFailed: a stage cannot compute one of these utterances.
        """
        size = self._settings.batch_utterances
        chunks = [texts[i : i + size] for i in range(0, len(texts), size)]
        # A long request has no more in the queue than can be in flight, so that short ones find their way between.
        window = asyncio.Semaphore(self._settings.batches_in_flight)

        async def in_turn(chunk: Sequence[str]) -> list[Annotation]:
            async with window:
                return await self._batcher.submit(chunk)

        try:
            async with asyncio.TaskGroup() as group:
                parts = [group.create_task(in_turn(chunk)) for chunk in chunks]
        except ExceptionGroup as failures:
            first = failures.exceptions[0]
            if isinstance(first, AnnotatorError):
                raise first from None
            logger.error("a request could not be annotated", exc_info=first)
            raise AnnotationFailed("an utterance of this request cannot be annotated") from None
        return [annotation for part in parts for annotation in part.result()]

    def check_progress(self) -> None:
        """Raise RuntimeError when a batch is in flight for longer than it may be."""
        self._batcher.check_progress(2 * self._settings.answer_seconds)

    async def _annotate_batch(self, requests: Sequence[Sequence[str]]) -> list[list[Annotation]]:
        texts = [text for request in requests for text in request]
        try:
            async with asyncio.timeout(self._settings.answer_seconds):
                probabilities = await self._probabilities(texts)
        except (RayActorError, RayServeException, TimeoutError) as error:
            logger.error("a batch did not come back", exc_info=error)
            raise Unavailable("the service cannot answer at the moment; try again") from error
        annotations = iter(merge(self._tasks, probabilities, DECIMALS))
        return [[next(annotations) for _ in request] for request in requests]

    async def _probabilities(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """One trip through the graph; one more when a replica dies on the way, since a trip leaves no trace."""
        try:
            return await self._trip(texts)
        except RayActorError:
            return await self._trip(texts)

    async def _trip(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        tokens = await self._stages.tokenize(texts)
        pooled = await self._stages.encode(tokens)
        answers = await asyncio.gather(*(head(pooled) for head in self._stages.heads.values()))
        return dict(zip(self._stages.heads, answers, strict=True))
