"""A call of the service's HTTP API as steps that know no sockets, so that one text of it serves both clients."""

import json
import random
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, TypedDict, TypeVar

import httpx

from annotator.answers import Annotation, TaskInfo, Weights, parsed, refusal
from annotator.errors import CallError, DeadlineExceeded, NoConnection, UnexpectedAnswer

T = TypeVar("T")
Outcome = httpx.Response | httpx.TransportError | None


@dataclass(frozen=True)
class Send:
    """A request that is to be sent; its whole answer must be here within so many seconds."""

    request: httpx.Request
    within_s: float

    def late(self) -> httpx.TimeoutException:
        """What comes of it otherwise."""
        return httpx.ReadTimeout(f"no answer within {self.within_s:g} s", request=self.request)


Steps = Generator[Send | float, Outcome, T]
"""A call that knows no sockets: it asks to send a request or to wait some seconds, and is told what came of it."""


class Options(TypedDict, total=False):
    """What may be asked for besides the texts; what is not given is as the service has it."""

    tasks: Sequence[str]
    top_k: int
    threshold: float
    raw_scores: bool
    truncate: bool


@dataclass(frozen=True)
class Patience:
    """How long a request is tried: `attempts` in all, within `deadline_s` seconds.

    Where the service does not say how long to wait: `first_wait_s`, twice as much each time, up to `longest_wait_s`.
    """

    deadline_s: float = 30.0
    attempts: int = 6
    first_wait_s: float = 0.1
    longest_wait_s: float = 5.0

    def wait_s(self, attempt: int) -> float:
        """Seconds after the attempt of this number; partly drawn, so that clients do not come back all at once."""
        return float(min(self.first_wait_s * 2 ** (attempt - 1), self.longest_wait_s) * random.uniform(0.5, 1))


class Calls:
    """What both clients do alike: everything but sending and waiting.

    Raises:
        ValueError: the address is none of HTTP.
    """

    def __init__(self, http: httpx.Client | httpx.AsyncClient, url: str, key: str | None, patience: Patience) -> None:
        try:
            scheme = httpx.URL(url).scheme
        except httpx.InvalidURL as error:
            raise ValueError(f"{url} is no address of a service: {error}") from error
        if scheme not in ("http", "https"):
            raise ValueError(f"{url} is no address of a service: it begins with http:// or https://")
        self._build_request = http.build_request
        self._url = url.rstrip("/")
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._patience = patience

    def annotate_steps(self, texts: Sequence[str], options: Options) -> Steps[list[Annotation]]:
        """One batch of texts to as many annotations."""
        answer = yield from self._call("POST", "/v1/annotate", {"inputs": texts, **options})
        model = {"model": answer.get("model")}
        items: list[dict[str, Any]] = parsed(list[dict[str, Any]], answer.get("annotations"))
        annotations: list[Annotation] = parsed(list[Annotation], [item | model for item in items])
        if len(annotations) != len(texts):
            raise UnexpectedAnswer(f"{len(annotations)} annotations came back for {len(texts)} texts")
        return annotations

    def tasks_steps(self) -> Steps[list[TaskInfo]]:
        """What is served."""
        answer = yield from self._call("GET", "/v1/tasks")
        tasks: list[TaskInfo] = parsed(list[TaskInfo], answer.get("tasks"))
        return tasks

    def model_steps(self) -> Steps[Weights]:
        """Which weights are served."""
        answer = yield from self._call("GET", "/v1/model")
        model: Weights = parsed(Weights, answer)
        return model

    def ready_steps(self) -> Steps[None]:
        """Nothing, when an utterance has just gone through the whole graph."""
        yield from self._call("GET", "/ready")

    def _call(self, method: str, path: str, body: Any = None) -> Steps[dict[str, Any]]:
        end = time.monotonic() + self._patience.deadline_s
        # ASCII: half a surrogate pair is escaped, which the service reads, and is not refused here.
        content = None if body is None else json.dumps(body)
        for attempt in count(1):
            left = max(end - time.monotonic(), 0.001)
            # httpx has this time for each step by itself: it ends what hangs, and not what drips.
            request = self._build_request(
                method, self._url + path, content=content, headers=self._headers, timeout=left
            )
            outcome = yield Send(request, left)
            try:
                return self._content(outcome)
            except CallError as error:
                wait = self._patience.wait_s(attempt) if error.retry_after is None else error.retry_after
                if not error.passing or attempt >= self._patience.attempts or time.monotonic() + wait >= end:
                    raise
            yield wait
        raise AssertionError  # count does not end

    def _content(self, outcome: Outcome) -> dict[str, Any]:
        if isinstance(outcome, httpx.TimeoutException):
            raise DeadlineExceeded(f"no answer from {self._url} within {self._patience.deadline_s:g} s") from outcome
        if not isinstance(outcome, httpx.Response):
            raise NoConnection(self._url, outcome) from outcome
        if not outcome.is_success:
            raise refusal(outcome)
        try:
            content: dict[str, Any] = parsed(dict[str, Any], outcome.json())
        except ValueError as error:
            raise UnexpectedAnswer(f"what answers at {self._url} is not this service: its answer is no JSON") from error
        return content


def batches(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    """The texts in order, in lists of so many.

    Raises:
        TypeError: it is one string.
        ValueError: of none at a time.
    """
    if isinstance(texts, str):
        raise TypeError("texts is one string, and would be taken for its letters: put it in a list")
    if size < 1:
        raise ValueError("batch must be at least 1")
    left = iter(texts)
    while batch := list(islice(left, size)):
        yield batch
