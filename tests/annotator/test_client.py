"""Both clients against a service in this process, which answers what a test tells it to."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any, Protocol

import httpx
import pytest

from annotator import errors
from annotator.answers import Annotation
from annotator.client import AsyncClient, Client, Patience

Handler = Callable[[httpx.Request], httpx.Response]
QUICK = Patience(deadline_s=5, attempts=4, first_wait_s=0.001)


class Annotate(Protocol):
    def __call__(self, handler: Handler, texts: list[str], **settings: Any) -> list[Annotation]: ...


def annotate_blocking(handler: Handler, texts: list[str], **settings: Any) -> list[Annotation]:
    options = settings.pop("options", {})
    http = httpx.Client(transport=httpx.MockTransport(handler))
    with Client("http://service", http=http, **{"patience": QUICK} | settings) as client:
        return client.annotate(texts, **options)


def annotate_async(handler: Handler, texts: list[str], **settings: Any) -> list[Annotation]:
    options = settings.pop("options", {})

    async def run() -> list[Annotation]:
        http = httpx.AsyncClient(transport=httpx.MockTransport(handler))
        async with AsyncClient("http://service", http=http, **{"patience": QUICK} | settings) as client:
            return await client.annotate(texts, **options)

    return asyncio.run(run())


@pytest.fixture(params=[annotate_blocking, annotate_async], ids=["blocking", "async"])
def annotate(request: pytest.FixtureRequest) -> Annotate:
    function: Annotate = request.param
    return function


def answer_to(request: httpx.Request) -> httpx.Response:
    """What the service answers: here the length of a text decides its label."""
    inputs = json.loads(request.content)["inputs"]
    annotations = [
        {
            "tokens": len(text) + 2,
            "truncated": False,
            "tasks": {"size": {"label": f"L{len(text)}", "scores": {f"L{len(text)}": 1.0}}},
        }
        for text in inputs
    ]
    return httpx.Response(200, json={"model": {"name": "lite", "version": "abc"}, "annotations": annotations})


def failing(times: int, failure: Callable[[httpx.Request], httpx.Response]) -> tuple[Handler, list[httpx.Request]]:
    """A handler that fails so many times before it answers, and what it was asked."""
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return failure(request) if len(asked) <= times else answer_to(request)

    return handler, asked


def error(status: int, kind: str = "some_type", **headers: str) -> httpx.Response:
    body = {"error": {"type": kind, "message": "what is wrong"}}
    return httpx.Response(status, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_many_texts_go_out_in_batches_and_come_back_in_order(annotate: Annotate) -> None:
    handler, asked = failing(0, answer_to)
    texts = ["x" * length for length in range(23)]
    annotations = annotate(handler, texts, batch=5)
    assert [annotation.tasks["size"].label for annotation in annotations] == [f"L{length}" for length in range(23)]
    assert [annotation.tokens for annotation in annotations] == [length + 2 for length in range(23)]
    assert annotations[0].model.version == "abc"
    assert sorted(len(json.loads(request.content)["inputs"]) for request in asked) == [3, 5, 5, 5, 5]
    assert annotate(handler, []) == []


def test_options_and_key_are_sent(annotate: Annotate) -> None:
    handler, asked = failing(0, answer_to)
    annotate(handler, ["hi \ud800"], key="secret", options={"tasks": ["size"], "top_k": 3, "truncate": False})
    assert json.loads(asked[0].content) == {"inputs": ["hi \ud800"], "tasks": ["size"], "top_k": 3, "truncate": False}
    assert asked[0].headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("status", "kind"), [(429, "some_type"), (503, "some_type"), (502, "unavailable"), (504, "unavailable")]
)
def test_what_passes_is_tried_again(annotate: Annotate, status: int, kind: str) -> None:
    handler, asked = failing(2, lambda _: error(status, kind))
    assert annotate(handler, ["hi"])[0].tasks["size"].label == "L2"
    assert len(asked) == 3


def test_a_broken_connection_is_tried_again(annotate: Annotate) -> None:
    def breaks(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("broken", request=request)

    handler, asked = failing(1, breaks)
    assert len(annotate(handler, ["hi"])) == 1
    assert len(asked) == 2


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The seconds that a client waited, without waiting."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(time, "sleep", waited.append)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return iter([waited])


def test_retry_after_is_honoured_as_seconds_and_as_a_date(annotate: Annotate, waits: Iterator[list[float]]) -> None:
    waited = next(waits)
    replies = [error(503, Retry_After="3"), error(429, Retry_After=formatdate(time.time() + 20, usegmt=True))]
    handler, _ = failing(2, lambda _: replies.pop(0))
    annotate(handler, ["hi"], patience=Patience(deadline_s=60))
    assert waited[0] == 3
    assert waited[1] == pytest.approx(20, abs=2)


def test_waits_grow_where_the_service_names_none(annotate: Annotate, waits: Iterator[list[float]]) -> None:
    waited = next(waits)
    handler, _ = failing(4, lambda _: error(503))
    annotate(handler, ["hi"], patience=Patience(deadline_s=60, attempts=5, first_wait_s=1, longest_wait_s=4))
    assert [0.5 * top <= wait <= top for wait, top in zip(waited, [1, 2, 4, 4], strict=True)] == [True] * 4


def test_a_wait_that_ends_behind_the_deadline_is_not_begun(annotate: Annotate, waits: Iterator[list[float]]) -> None:
    waited = next(waits)
    handler, asked = failing(1, lambda _: error(503, Retry_After="6"))
    with pytest.raises(errors.Unavailable) as raised:
        annotate(handler, ["hi"])
    assert raised.value.retry_after == 6
    assert (len(asked), waited) == (1, [])


def test_attempts_are_bounded(annotate: Annotate) -> None:
    handler, asked = failing(99, lambda _: error(503))
    with pytest.raises(errors.Unavailable):
        annotate(handler, ["hi"])
    assert len(asked) == QUICK.attempts


@pytest.mark.parametrize(
    ("status", "kind"), [*((s, k) for s, k in errors.BY_STATUS.items() if not k.passing), (502, errors.Refused)]
)
def test_each_status_has_its_exception_and_is_not_tried_again(
    annotate: Annotate, status: int, kind: type[errors.Refused]
) -> None:
    handler, asked = failing(9, lambda _: error(status))
    with pytest.raises(errors.Refused, match="what is wrong") as raised:
        annotate(handler, ["hi"])
    assert type(raised.value) is kind
    assert (raised.value.status, raised.value.type) == (status, "some_type")
    assert len(asked) == 1


def test_an_error_page_of_something_else_is_an_error_of_its_status(annotate: Annotate) -> None:
    with pytest.raises(errors.NotFound, match="404 Not Found from http://service/v1/annotate"):
        annotate(lambda _: httpx.Response(404, text="<h1>nginx</h1>"), ["hi"])


@pytest.mark.parametrize(
    "answer",
    [
        "<h1>hello</h1>",
        "[]",
        '{"annotations": []}',
        '{"model": {"name": "a", "version": "b"}, "annotations": [5]}',
        '{"model": {"name": "a", "version": "b"}, "annotations": [{"tokens": "many"}]}',
        '{"model": {"name": "a", "version": "b"}, "annotations": []}',
    ],
)
def test_what_is_no_answer_of_the_service_is_told_so(annotate: Annotate, answer: str) -> None:
    with pytest.raises(errors.UnexpectedAnswer):
        annotate(lambda _: httpx.Response(200, text=answer), ["hi"])


def test_no_answer_in_time_is_an_error_of_its_own(annotate: Annotate) -> None:
    timeouts: list[dict[str, float]] = []

    def late(request: httpx.Request) -> httpx.Response:
        timeouts.append(request.extensions["timeout"])
        raise httpx.ReadTimeout("late", request=request)

    with pytest.raises(errors.DeadlineExceeded, match=r"within 0\.5 s"):
        annotate(late, ["hi"], patience=Patience(deadline_s=0.5))
    assert len(timeouts) == 1
    assert 0.4 < timeouts[0]["read"] <= 0.5


def test_nobody_there_is_said_with_the_address(annotate: Annotate) -> None:
    def refused(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    with pytest.raises(errors.NoConnection, match="no service answers at http://service: connection refused"):
        annotate(refused, ["hi"])


@pytest.mark.parametrize("url", ["service:8000", "ftp://service", "", "http://localhost:80O0"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match=r"is no address of a service: (it begins with http|Invalid port)"):
        Client(url)


def test_a_stream_holds_no_more_than_a_batch() -> None:
    taken: list[int] = []

    def texts() -> Iterator[str]:
        for number in range(100):
            taken.append(number)
            yield "hi"

    http = httpx.Client(transport=httpx.MockTransport(answer_to))
    with Client("http://service", batch=4, http=http) as client:
        stream = client.stream(texts())
        next(stream)
        assert len(taken) == 4


async def test_the_async_client_has_several_batches_under_way_and_no_more() -> None:
    under_way = highest = 0

    async def handler(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, highest
        under_way += 1
        highest = max(highest, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return answer_to(request)

    http = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    async with AsyncClient("http://service", batch=1, in_flight=3, http=http) as client:
        annotations = await client.annotate(["x" * length for length in range(9)])
    assert [annotation.tokens for annotation in annotations] == [length + 2 for length in range(9)]
    assert highest == 3


async def test_tasks_and_model_are_typed() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/under/v1/tasks":
            return httpx.Response(200, json={"tasks": [{"name": "t", "labels": ["a"], "kind": "single", "rule": None}]})
        return httpx.Response(200, json={"name": "lite", "version": "abc", "max_tokens": 32})

    with Client("http://service/under/", http=httpx.Client(transport=httpx.MockTransport(handler))) as client:
        assert [task.labels for task in client.tasks()] == [("a",)]
        assert client.model().version == "abc"
    http = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    async with AsyncClient("http://service/under/", http=http) as client_:
        assert [task.name for task in await client_.tasks()] == ["t"]
        assert (await client_.model()).name == "lite"


@pytest.mark.parametrize(("texts", "batch", "error"), [("i love you", 64, TypeError), (["a"], 0, ValueError)])
def test_what_would_be_answered_wrongly_is_refused(
    annotate: Annotate, texts: Any, batch: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        annotate(answer_to, texts, batch=batch)
