import re
from typing import Any

import httpx
import pytest
from ray.serve._private.http_util import _apply_middlewares
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.middleware.headers import middlewares


async def get(*headers: tuple[str, str], path: str = "/") -> tuple[httpx.Response, str]:
    """The answer, and the request's name as the application sees it, wrapped as Serve wraps it."""
    seen: list[str] = []

    async def answer(request: Request) -> Response:
        seen.extend(request.headers.getlist("x-request-id"))
        return Response()

    wrapped: list[Any] = [*middlewares()]
    app = _apply_middlewares(Starlette(routes=[Route("/", answer)]), wrapped)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://annotator") as client:
        response = await client.get(path, headers=[(name.encode(), value.encode()) for name, value in headers])
    return response, " ".join(seen)


async def test_a_usable_name_is_kept() -> None:
    answer, seen = await get(("X-Request-ID", "dialog-7:turn.3_A"))
    assert answer.headers.get_list("x-request-id") == ["dialog-7:turn.3_A"]
    assert seen == "dialog-7:turn.3_A"


@pytest.mark.parametrize("given", [[], [""], ["a" * 129], ["has space"], ['"quoted"'], ["ü"], ["one", "two"]])
async def test_otherwise_a_new_one_is_made(given: list[str]) -> None:
    answer, seen = await get(*(("x-request-id", name) for name in given))
    (name,) = answer.headers.get_list("x-request-id")
    assert re.fullmatch("[0-9a-f]{32}", name)
    assert seen == name
    assert (await get())[0].headers["x-request-id"] != name


async def test_errors_have_one_too() -> None:
    assert (await get(path="/nothing"))[0].status_code == 404
    for path, header in (("/nothing", "x"), ("/", "x" * 20_000)):
        answer, _ = await get(("x-request-id", "mine"), ("x-large", header), path=path)
        assert answer.status_code in (404, 431)
        assert answer.headers.get_list("x-request-id") == ["mine"]
