import asyncio
from collections import Counter
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from serving.annotator import Annotator
from serving.description import Description
from serving.http import http_app
from serving.middleware.keys import Keys
from serving.middleware.request_metrics import CLIENT_GONE
from serving.observability import metrics
from tests.serving.local import POISON, LocalTrip

Measured = list[tuple[str, float, dict[str, str]]]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    """What is given to Ray: name, value and tags."""
    noted: Measured = []

    def note(self: Any, value: float, tags: dict[str, str] | None = None) -> None:
        noted.append((self._name, value, tags or {}))

    monkeypatch.setattr("ray.util.metrics.Metric._record", note)
    monkeypatch.setattr("ray.util.metrics.Gauge._record", note)
    return noted


def tags_of(measured: Measured, name: str) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tags.values()) for metric, _, tags in measured if metric == name)


async def test_requests_are_counted_by_route_and_status_and_errors_by_type(
    client: httpx.AsyncClient, measured: Measured
) -> None:
    await client.post("/model", json={"sentences": ["a"]})
    await client.post("/model", json={"sentences": "a"})
    await client.post("/model", json={"sentences": [POISON]})
    await client.get("/model")
    await client.get("/no/such/path/as/this")
    await client.get("/page/0/none.js")
    assert tags_of(measured, "annotator_request_seconds") == {
        ("/model", "200"): 1,
        ("/model", "422"): 1,
        ("/model", "500"): 1,
        ("/model", "405"): 1,
        ("none", "404"): 1,
        ("/page/{version}/{name}", "404"): 1,
    }
    errors = {("invalid_field",): 1, ("annotation_failed",): 1, ("wrong_method",): 1, ("no_such_path",): 2}
    assert tags_of(measured, "annotator_errors") == errors


async def test_a_batch_is_measured_once_whoever_is_in_it(annotator: Annotator, measured: Measured) -> None:
    await asyncio.gather(*(annotator([f"line {i}", "word " * 100]) for i in range(2)))
    assert tags_of(measured, "annotator_stage_seconds") == {
        (stage,): 1 for stage in ("queue", "tokenize", "encode", "heads")
    }
    values = {name: value for name, value, _ in measured}
    assert values["annotator_batch_utterances"] == 4
    assert values["annotator_utterances"] == 4
    assert values["annotator_tokens"] > 2 * 32
    assert values["annotator_truncated_utterances"] == 2
    assert values["annotator_waiting_utterances"] == 0


def test_nothing_is_counted_as_cut_where_nothing_was(measured: Measured) -> None:
    tokens = np.array([3, 4], np.int32)
    metrics.count_batch({}, tokens, tokens)
    assert "annotator_truncated_utterances" not in {name for name, _, _ in measured}


async def test_a_client_that_went_away_is_counted_and_is_no_error(
    annotator: Annotator, description: Description, measured: Measured, local: LocalTrip
) -> None:
    scope = {"type": "http", "method": "POST", "path": "/model", "headers": [], "query_string": b""}

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        pass

    with pytest.raises(ClientDisconnect):
        await Request(scope, receive).body()
    await http_app(annotator, description)(scope, receive, send)
    assert tags_of(measured, "annotator_request_seconds") == {("/model", str(CLIENT_GONE)): 1}
    assert tags_of(measured, "annotator_errors") == {}
    assert local.batches == []


async def test_who_may_not_ask_is_counted(annotator: Annotator, description: Description, measured: Measured) -> None:
    transport = httpx.ASGITransport(http_app(annotator, description, Keys(["k" * 20], None)))
    async with httpx.AsyncClient(transport=transport, base_url="http://annotator") as client:
        assert (await client.get("/metrics")).status_code == 401
    assert tags_of(measured, "annotator_request_seconds") == {("none", "401"): 1}
    assert tags_of(measured, "annotator_errors") == {("key_missing",): 1}
