import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from serving.body import json_object, read_body
from serving.errors import BodyTooLarge, InvalidField, MalformedJson, TooSlow
from serving.settings import Limits

# Every code point, halves of surrogate pairs too.
ANY_TEXT = st.text(st.characters())


def whole(text: str) -> str:
    """The text with U+FFFD for every half of a surrogate pair that is not followed by its other half."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@given(st.dictionaries(st.text(), st.lists(ANY_TEXT)))
def test_strings_come_through_and_half_a_surrogate_pair_as_the_replacement_character(value: dict[str, Any]) -> None:
    assert json_object(json.dumps(value).encode()) == {k: [whole(text) for text in v] for k, v in value.items()}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'sentences': []}",
        b'{"sentences": [NaN]}',
        b'{"sentences": ["\xff"]}',
        b'\xef\xbb\xbf{"sentences": []}',
        b'{"sentences": []} x',
        b"[" * 100_000,
        b'{"sentences": [' + b"9" * 5000,
        '{"sentences": ["a"]}'.encode("utf-16"),
    ],
)
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedJson):
        json_object(body)


@pytest.mark.parametrize("body", [b"null", b"[]", b'"inputs"', b"1"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidField, match="body"):
        json_object(body)


def request_of(*chunks: bytes, headers: dict[str, str] | None = None, pause: float = 0) -> Request:
    sent = iter(chunks)

    async def receive() -> Message:
        await asyncio.sleep(pause)
        chunk = next(sent, None)
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return Request({"type": "http", "headers": raw}, receive)


async def test_a_body_comes_whole() -> None:
    assert await read_body(request_of(b"ab", b"c"), Limits(body_bytes=3)) == b"abc"


async def test_a_body_that_is_said_to_be_too_large_is_not_read() -> None:
    request = request_of(headers={"content-length": "4"}, pause=3600)
    with pytest.raises(BodyTooLarge):
        await read_body(request, Limits(body_bytes=3))


async def test_a_body_that_becomes_too_large_is_not_read_on() -> None:
    with pytest.raises(BodyTooLarge):
        await read_body(request_of(*[b"ab"] * 1000, headers={"content-length": "2"}), Limits(body_bytes=3))


async def test_a_body_that_does_not_arrive_is_not_waited_for() -> None:
    with pytest.raises(TooSlow):
        await read_body(request_of(*[b"a"] * 1000, pause=0.02), Limits(body_seconds=0.1))
