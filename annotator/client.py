"""The service's HTTP API from Python, blocking and async; what it raises stands in `annotator.errors`.

    with Client("http://localhost:8000") as client:
        for annotation in client.annotate(["i love you", "who painted it"]):
            print({task: answer.label for task, answer in annotation.tasks.items()})

Texts go out in batches. What passes (429, 503, a replica that went away, a broken connection) is tried again within
the deadline, after the seconds that Retry-After names.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from typing import Self, TypeVar, Unpack

import httpx

from annotator.answers import Annotation, TaskInfo, Weights
from annotator.calls import Calls, Options, Outcome, Patience, Send, Steps, batches

__all__ = ["DEFAULT_URL", "Annotation", "AsyncClient", "Client", "Options", "Patience", "TaskInfo", "Weights"]

DEFAULT_URL = "http://localhost:8000"
DEFAULT_PATIENCE = Patience()

T = TypeVar("T")


class Client(Calls):
    """The blocking client; threads may share one. Arguments as `AsyncClient`."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        key: str | None = None,
        batch: int = 64,
        patience: Patience = DEFAULT_PATIENCE,
        http: httpx.Client | None = None,
    ) -> None:
        self._http = http or httpx.Client()
        super().__init__(self._http, url, key, patience)
        self._batch = batch

    def annotate(self, texts: Iterable[str], **options: Unpack[Options]) -> list[Annotation]:
        """Annotate texts, in order."""
        return list(self.stream(texts, **options))

    def stream(self, texts: Iterable[str], **options: Unpack[Options]) -> Iterator[Annotation]:
        """Annotate any number of texts, in order; no more than a batch is held."""
        for batch in batches(texts, self._batch):
            yield from self._run(self.annotate_steps(batch, options))

    def tasks(self) -> list[TaskInfo]:
        """What is served, in contract order."""
        return self._run(self.tasks_steps())

    def model(self) -> Weights:
        """Which weights are served."""
        return self._run(self.model_steps())

    def check_ready(self) -> None:
        """Raise `Unavailable` unless an utterance has just gone through the whole graph."""
        self._run(self.ready_steps())

    def _run(self, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                step = steps.send(self._do(step))
        except StopIteration as done:
            result: T = done.value
            return result

    def _do(self, step: Send | float) -> Outcome:
        if not isinstance(step, Send):
            time.sleep(step)
            return None
        # A thread of its own, since a blocking read can be bounded but a sequence of them cannot. One that is given
        # up ends with its connection, and keeps no program from ending.
        answer: Future[httpx.Response] = Future()
        threading.Thread(target=copy_context().run, args=(self._send, step.request, answer), daemon=True).start()
        try:
            return answer.result(step.within_s)
        except TimeoutError:
            return step.late()
        except httpx.TransportError as error:
            return error

    def _send(self, request: httpx.Request, answer: "Future[httpx.Response]") -> None:
        try:
            answer.set_result(self._http.send(request))
        except BaseException as error:
            answer.set_exception(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()


class AsyncClient(Calls):
    """The async client.

    Args:
        url: where the service is.
        key: API key, if the service wants one.
        batch: texts in one request.
        patience: how long a request is tried.
        in_flight: requests under way at once.
        http: what sends, where proxies, certificates or the like are to be set.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        key: str | None = None,
        batch: int = 64,
        patience: Patience = DEFAULT_PATIENCE,
        in_flight: int = 4,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._http = http or httpx.AsyncClient()
        super().__init__(self._http, url, key, patience)
        self._batch, self._in_flight = batch, in_flight

    async def annotate(self, texts: Iterable[str], **options: Unpack[Options]) -> list[Annotation]:
        """Annotate texts, in order."""
        return [annotation async for annotation in self.stream(texts, **options)]

    async def stream(self, texts: Iterable[str], **options: Unpack[Options]) -> AsyncIterator[Annotation]:
        """Annotate any number of texts, in order; no more than the batches under way are held."""
        running: deque[asyncio.Task[list[Annotation]]] = deque()
        try:
            for batch in batches(texts, self._batch):
                running.append(asyncio.create_task(self._run(self.annotate_steps(batch, options))))
                if len(running) >= self._in_flight:
                    for annotation in await running.popleft():
                        yield annotation
            while running:
                for annotation in await running.popleft():
                    yield annotation
        finally:
            for task in running:
                task.cancel()

    async def tasks(self) -> list[TaskInfo]:
        """What is served, in contract order."""
        return await self._run(self.tasks_steps())

    async def model(self) -> Weights:
        """Which weights are served."""
        return await self._run(self.model_steps())

    async def check_ready(self) -> None:
        """Raise `Unavailable` unless an utterance has just gone through the whole graph."""
        await self._run(self.ready_steps())

    async def _run(self, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                step = steps.send(await self._do(step))
        except StopIteration as done:
            result: T = done.value
            return result

    async def _do(self, step: Send | float) -> Outcome:
        if not isinstance(step, Send):
            await asyncio.sleep(step)
            return None
        try:
            async with asyncio.timeout(step.within_s):
                return await self._http.send(step.request)
        except TimeoutError:
            return step.late()
        except httpx.TransportError as error:
            return error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()
