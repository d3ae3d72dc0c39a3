"""The deployment that HTTP reaches: gathers requests into batches, sends each through the graph, merges the answers."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray import serve
from ray.exceptions import RayActorError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle
from starlette.applications import Starlette

from graph.merge import Annotation, merge
from graph.tasks import load_tasks
from serving.batching import Batcher, Limits
from serving.errors import AnnotationFailed, AnnotatorError, Unavailable
from serving.http import http_app
from serving.settings import Settings
from serving.wire import DECIMALS

logger = logging.getLogger("ray.serve")


@serve.deployment
@serve.ingress()
class Ingress:
    """Annotates what HTTP brings.

    Args:
        settings: the operator's choices.
        tokenizer: handle of the tokenizer.
        encoder: handle of the encoder.
        heads: handle of each task's head, by task name.
    """

    def __init__(
        self,
        settings: Settings,
        tokenizer: "DeploymentHandle[Any]",
        encoder: "DeploymentHandle[Any]",
        heads: Mapping[str, "DeploymentHandle[Any]"],
    ) -> None:
        self._settings = settings
        self._tasks = load_tasks(settings.tasks_path)
        self._tokenizer = tokenizer
        self._encoder = encoder
        self._heads = heads
        self._batcher: Batcher[Sequence[str], list[Annotation]] = Batcher(
            self._annotate_batch,
            cost=len,
            limits=Limits(
                budget=settings.batch_utterances,
                slots=settings.batches_in_flight,
                waiting=settings.waiting_utterances,
            ),
        )

    def __serve_build_asgi_app__(self) -> Starlette:
        """Called by Serve once the replica is built; the name is Serve's."""
        return http_app(self.annotate, self._settings.body_bytes)

    async def annotate(self, texts: Sequence[str]) -> list[Annotation]:
        """Annotate the utterances of one request.

        Raises:
            Overloaded: too much is waiting.
            Unavailable: the graph does not answer.
            AnnotationFailed: a stage cannot compute one of these utterances.
        """
        if not texts:
            return []
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

    def check_health(self) -> None:
        """Called by Serve; raises when a batch has not come back for too long."""
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
        """One trip through the graph; tried once more when a replica dies on the way, since nothing has a state."""
        try:
            return await self._trip(texts)
        except RayActorError:
            return await self._trip(texts)

    async def _trip(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        tokens = await self._tokenizer.remote(texts)
        pooled = await self._encoder.remote(tokens)
        answers = await asyncio.gather(*(head.remote(pooled) for head in self._heads.values()))
        return dict(zip(self._heads, answers, strict=True))
