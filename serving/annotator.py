"""From the utterances of many requests to their answers: batches, a trip through the graph for each."""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from ray.exceptions import RayActorError
from ray.serve.exceptions import RayServeException

from graph.tasks import Task
from serving.answer import Answer, Batch, Part
from serving.batching import Batcher, Limits
from serving.errors import AnnotationFailed, AnnotatorError, DeadlineExceeded, InvalidField, Unavailable
from serving.observability.discreet import kind_and_place
from serving.observability.metrics import count_batch, show_waiting
from serving.settings import Settings
from serving.trips import Trip, all_or_none
from serving.tuning import tune

logger = logging.getLogger("ray.serve")

Brought = TypeVar("Brought")

# A trip costs CPU besides that of its utterances, in the split as much as ten of them: full ones are worth a wait.
PATIENCE = 0.25


@dataclass(frozen=True)
class _Waiting:
    """Utterances of one request that travel together."""

    texts: Sequence[str]
    tasks: Collection[str]
    since: float


class Annotator:
    """Annotates requests, several at a time.

    Args:
        tasks: of the task file.
        trip: takes a batch through the graph.
        settings: sizes and limits.

    Attributes:
        tuned: what is in force at the moment.
    """

    def __init__(self, tasks: Sequence[Task], trip: Trip, settings: Settings) -> None:
        self._tasks = tasks
        self._settings = settings
        self._trip = trip
        self.tuned = tune(tasks, settings, {})
        self._batcher: Batcher[_Waiting, Part] = Batcher(
            self._annotate_batch,
            cost=lambda waiting: len(waiting.texts),
            limits=self._limits(),
        )
        self._counter: Batcher[Sequence[str], NDArray[np.int32]] = Batcher(
            self._count_batch, cost=len, limits=self._limits()
        )

    def tune(self, user_config: Mapping[str, Any]) -> None:
        """Put another user_config in force: requests from now on, and batches that leave from now on, follow it.

        Raises:
            TuningError: it is wrong; what is in force stays.
        """
        self.tuned = tune(self._tasks, self._settings, user_config)
        self._batcher.limits = self._counter.limits = self._limits()

    def deadline(self) -> AbstractAsyncContextManager[None]:
        """For a request that needs more than one call: all that happens within takes no longer than one may.

        Raises:
            DeadlineExceeded: it does.
        """
        return _deadline(self.tuned.settings)

    async def __call__(self, texts: Sequence[str], names: Collection[str] | None = None) -> Answer:
        """Annotate the utterances of one request.

        Args:
            texts: any strings.
            names: tasks to compute, at least one; None for all. A batch computes what any request in it asks for.

        Raises:
            InvalidField: too many utterances, or one that is too long.
            Overloaded: too much is waiting.
            DeadlineExceeded: the answer was not there in time, and what was left of the work is given up.
            Unavailable: the graph does not answer.
            AnnotationFailed: a stage cannot compute one of these utterances.
        """
        settings = self.tuned.settings
        tasks = self.tuned.tasks
        if names is not None:
            tasks = tuple(task for task in tasks if task.name in names)
        asked = [task.name for task in tasks]
        since = time.perf_counter()
        chunks = [_Waiting(chunk, asked, since) for chunk in self._chunks(texts, settings.batches_in_flight)]
        async with self.deadline():
            # Nearly every request is one chunk; the machinery for more costs as much as all else here.
            parts = [await self._batcher.submit(chunks[0])] if len(chunks) == 1 else await self._parts(chunks)
        return Answer(tasks, parts)

    async def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Tokens of each utterance if nothing were cut, special tokens included; only the tokenizer runs.

        Returns:
            int32 `(n,)`.

        Raises:
            AnnotatorError: as for an answer.
        """
        counts = [np.empty(0, np.int32)]
        async with self.deadline():
            for chunk in self._chunks(texts, slots=1):
                counts.append(await self._counter.submit(chunk))
        return np.concatenate(counts)

    async def _parts(self, chunks: Sequence[_Waiting]) -> list[Part]:
        """The parts of a long request, which raises what its first failing chunk raises."""
        # It has no more in the queue than can be in flight, so that short requests find their way between, nor more
        # than may wait there: where nobody else does, a request is not refused for its length.
        settings = self.tuned.settings
        longest = max((len(chunk.texts) for chunk in chunks), default=1)
        window = asyncio.Semaphore(min(settings.batches_in_flight, max(1, settings.waiting_utterances // longest)))

        async def in_turn(chunk: _Waiting) -> Part:
            async with window:
                return await self._batcher.submit(chunk)

        return await all_or_none(map(in_turn, chunks))

    def check_progress(self) -> None:
        """Raise RuntimeError when a batch is in flight for longer than it may be."""
        # A batch that was given up after answer_seconds is still here only if this replica itself computes and hangs.
        for batcher in (self._batcher, self._counter):
            batcher.check_progress(1.5 * self._settings.answer_seconds)

    async def _annotate_batch(self, requests: Sequence[_Waiting]) -> list[Part]:
        left = time.perf_counter()
        show_waiting(self._batcher.waiting)
        tuned = self.tuned
        asked = {name for request in requests for name in request.tasks}
        tasks = tuple(task for task in tuned.tasks if task.name in asked)
        texts = [text for request in requests for text in request.texts]
        heads = {task.name: tuned.heads[task.name] for task in tasks}
        outcome = await self._on_trip(partial(self._trip, texts, heads))
        longest = left - min(request.since for request in requests)
        count_batch({"queue": longest} | outcome.seconds, outcome.tokens, outcome.uncut)
        batch = Batch(tasks, outcome)
        parts: list[Part] = []
        row = 0
        for request in requests:
            parts.append(Part(batch, slice(row, row + len(request.texts)), left - request.since))
            row += len(request.texts)
        return parts

    async def _count_batch(self, chunks: Sequence[Sequence[str]]) -> list[NDArray[np.int32]]:
        tokens = await self._on_trip(partial(self._trip.tokenize, [text for chunk in chunks for text in chunk]))
        return np.split(tokens.uncut, np.cumsum([len(chunk) for chunk in chunks])[:-1])

    def _limits(self) -> Limits:
        settings = self.tuned.settings
        return Limits(
            budget=settings.batch_utterances,
            slots=settings.batches_in_flight,
            least_share=self._trip.least,
            waiting=settings.waiting_utterances,
            waiting_seconds=settings.waiting_seconds,
            patience=PATIENCE,
        )

    def _chunks(self, texts: Sequence[str], slots: int) -> list[Sequence[str]]:
        """The utterances of a request in equal pieces, one for each slot if they are worth it, of at most a batch.

        Raises:
            InvalidField: too many utterances, or one that is too long.
        """
        settings = self.tuned.settings
        _check_size(texts, settings)
        worth = min(slots, len(texts) // self._trip.least)
        size = max(1, math.ceil(len(texts) / max(1, worth, math.ceil(len(texts) / settings.batch_utterances))))
        return [texts[i : i + size] for i in range(0, len(texts), size)]

    async def _on_trip(self, travel: Callable[[], Awaitable[Brought]]) -> Brought:
        """What a trip brings; it is made once more when a replica dies on the way, since it leaves no trace.

        Raises:
            Unavailable: it does not come back.
        """
        try:
            async with asyncio.timeout(self._settings.answer_seconds):
                try:
                    return await travel()
                except RayActorError:
                    return await travel()
        except (RayActorError, RayServeException, TimeoutError) as error:
            logger.error("a batch did not come back: %s", kind_and_place(error))
            raise Unavailable("the service cannot answer at the moment; try again") from error


@asynccontextmanager
async def _deadline(settings: Settings) -> AsyncIterator[None]:
    """Whatever a request fails with becomes an error for its client."""
    try:
        async with asyncio.timeout(settings.deadline_seconds):
            yield
    except AnnotatorError:
        raise
    except TimeoutError:
        raise DeadlineExceeded(f"the answer was not there within {settings.deadline_seconds:g} s") from None
    except Exception as error:
        logger.error("a request could not be annotated: %s", kind_and_place(error))
        raise AnnotationFailed("an utterance of this request cannot be annotated") from None


def _check_size(texts: Sequence[str], settings: Settings) -> None:
    if len(texts) > settings.request_utterances:
        raise InvalidField(f"a request may have at most {settings.request_utterances} utterances")
    for i, text in enumerate(texts):
        if len(text) > settings.utterance_characters:
            raise InvalidField(f"utterance {i} has more than {settings.utterance_characters} characters")
