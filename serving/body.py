"""The body of a request, and the JSON object in it."""

import asyncio
import json
from typing import Any, NoReturn

import orjson
from starlette.requests import Request

from serving.errors import BodyTooLarge, InvalidField, MalformedJson, TooSlow
from serving.settings import Limits


async def read_body(request: Request, limits: Limits) -> bytes:
    """The whole body, given up as soon as it is larger than the limit, or said to be.

    Raises:
        BodyTooLarge: it has more than `body_bytes`.
        TooSlow: it is not here within `body_seconds`.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limits.body_bytes:
        raise _too_large(limits)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limits.body_bytes:
                    raise _too_large(limits)
                chunks.append(chunk)
    except TimeoutError:
        raise TooSlow(f"the body was not here within {limits.body_seconds:g} s") from None
    return b"".join(chunks)


def _too_large(limits: Limits) -> BodyTooLarge:
    return BodyTooLarge(f"the body may have at most {limits.body_bytes} bytes")


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body is. Strings in it are well-formed: half a surrogate pair is read as U+FFFD.

    Raises:
        MalformedJson: the body is not JSON.
        InvalidField: it is JSON, but no object.
    """
    value = _parse(body)
    if not isinstance(value, dict):
        raise InvalidField("the body must be a JSON object")
    return value


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    # orjson refuses an escaped half of a surrogate pair, which real clients send; the standard library takes it.
    try:
        lenient = json.dumps(json.loads(body.decode("utf-8"), parse_constant=_no_constant), ensure_ascii=False)
        return orjson.loads(lenient.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else "it cannot be read"
        raise MalformedJson(f"the body is not JSON: {reason}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
