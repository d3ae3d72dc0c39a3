"""From the utterances of many requests to their annotations: batches, a trip through the graph for each, merge."""

import asyncio
import logging
from collections.abc import Sequence

from ray.exceptions import RayActorError
from ray.serve.exceptions import RayServeException

from graph.merge import Annotation, merge
from graph.tasks import Task
from serving.batching import Batcher, Limits
from serving.errors import AnnotationFailed, AnnotatorError, Unavailable
from serving.settings import Settings
from serving.trips import Probabilities, Trip
from serving.wire import DECIMALS

logger = logging.getLogger("ray.serve")


class Annotator:
    """Annotates requests, several at a time.

    Args:
        tasks: in contract order.
        trip: takes a batch through the graph.
        settings: sizes and limits.
    """

    def __init__(self, tasks: Sequence[Task], trip: Trip, settings: Settings) -> None:
        self._tasks = tasks
        self._trip = trip
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
            Unavailable: the graph does not answer.
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

    async def _probabilities(self, texts: Sequence[str]) -> Probabilities:
        """One trip; one more when a replica dies on the way, since a trip leaves no trace."""
        try:
            return await self._trip(texts)
        except RayActorError:
            return await self._trip(texts)
