from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest

from graph.merge import Annotation
from serving.errors import AnnotatorError, Overloaded, Unavailable
from serving.http import http_app

BODY_BYTES = 1000


async def annotate(texts: Sequence[str]) -> list[Annotation]:
    """An annotator that answers how long an utterance is, and fails on demand."""
    for text in texts:
        if text == "overload":
            raise Overloaded("too much")
        if text == "bug":
            raise RuntimeError("the message of a bug is not for clients")
    return [{"task": {"length": float(len(text))}} for text in texts]


def client_of(application: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://annotator")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(http_app(annotate, BODY_BYTES)) as opened:
        yield opened


async def test_model_answers_an_annotation_a_sentence(client: httpx.AsyncClient) -> None:
    answer = await client.post("/model", json={"sentences": ["abc", ""]})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == [{"task": {"length": 3.0}}, {"task": {"length": 0.0}}]


async def test_batch_model_answers_one_batch(client: httpx.AsyncClient) -> None:
    answer = await client.post("/batch_model", json={"utterances_with_histories": [["x", "x [SEP] four"]]})
    assert answer.json() == [{"batch": [{"task": {"length": 4.0}}]}]


async def test_the_content_type_does_not_matter(client: httpx.AsyncClient) -> None:
    answer = await client.post("/model", content=b'{"sentences": ["a"]}', headers={"content-type": "text/plain"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("POST", "/model", b"{", 400, "malformed_json"),
        ("POST", "/model", b"{}", 422, "invalid_field"),
        ("POST", "/batch_model", b'{"utterances_with_histories": [[]]}', 422, "invalid_field"),
        ("POST", "/model", b" " * (BODY_BYTES + 1), 413, "body_too_large"),
        ("GET", "/model", b"", 405, "wrong_method"),
        ("POST", "/health", b"", 405, "wrong_method"),
        ("GET", "/nothing", b"", 404, "no_such_path"),
        ("POST", "/model/", b"", 404, "no_such_path"),
        ("POST", "/model", b'{"sentences": ["overload"]}', 503, "overloaded"),
        ("POST", "/model", b'{"sentences": ["bug"]}', 500, "annotation_failed"),
    ],
)
async def test_errors_have_one_shape(
    client: httpx.AsyncClient, method: str, path: str, body: bytes, status: int, kind: str
) -> None:
    answer = await client.request(method, path, content=body)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"type", "message"}
    assert answer.json()["error"]["type"] == kind
    assert "bug" not in answer.json()["error"]["message"]


async def test_who_may_try_again_is_told_when(client: httpx.AsyncClient) -> None:
    answer = await client.post("/model", json={"sentences": ["overload"]})
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_wrong_method_is_told_the_right_one(client: httpx.AsyncClient) -> None:
    assert "POST" in (await client.get("/model")).headers["allow"]


async def test_ready_only_when_an_utterance_goes_through() -> None:
    async def fails(_: Sequence[str]) -> list[Annotation]:
        raise Unavailable("not yet")

    async with client_of(http_app(fails, BODY_BYTES)) as client:
        assert (await client.get("/ready")).status_code == 503
        assert (await client.get("/health")).status_code == 200
    async with client_of(http_app(annotate, BODY_BYTES)) as client:
        assert (await client.get("/ready")).status_code == 200


def test_every_error_has_a_type_of_its_own_and_a_status() -> None:
    errors = AnnotatorError.__subclasses__()
    assert len({error.type for error in errors}) == len(errors)
    assert all(400 <= error.status < 600 for error in errors)
