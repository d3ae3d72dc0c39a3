import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from serving.middleware.headers import HEADER_BYTES, Headers, middlewares
from serving.middleware.request_id import RequestId


async def get(headers: dict[bytes, bytes]) -> httpx.Response:
    async def seen(request: Request) -> JSONResponse:
        return JSONResponse(dict(request.headers))

    app = Headers(Starlette(routes=[Route("/", seen)]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://annotator") as client:
        return await client.get("/", headers=headers)


@pytest.mark.parametrize("name", ["X-Request-Timeout-Seconds", "x-request-disconnect-disabled"])
async def test_a_client_has_no_say_in_deadline_and_cancellation(name: str) -> None:
    answer = await get({name.encode(): b"3600", b"x-other": b"stays"})
    assert answer.json()["x-other"] == "stays"
    assert name.lower() not in answer.json()


async def test_headers_are_bounded() -> None:
    assert (await get({b"x-large": b"a" * (HEADER_BYTES // 2)})).status_code == 200
    answer = await get({b"x-large": b"a" * HEADER_BYTES})
    assert answer.status_code == 431
    assert answer.json()["error"]["type"] == "headers_too_large"


async def test_what_serve_could_not_read_is_refused() -> None:
    assert (await get({b"x-request-id": "ü".encode()})).status_code == 200
    answer = await get({b"x-request-id": b"\xff"})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "malformed_http"


def test_serve_is_given_it() -> None:
    assert [repr(middleware.cls) for middleware in middlewares()] == [repr(Headers), repr(RequestId)]
