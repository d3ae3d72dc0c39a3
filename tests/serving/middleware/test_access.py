import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from serving.middleware.access import Access
from serving.middleware.keys import Keys

FIRST, SECOND = "the-first-of-two-keys", "the-second-of-two-keys"


def client_of(keys: Keys) -> httpx.AsyncClient:
    async def answer(_: object) -> PlainTextResponse:
        return PlainTextResponse("open")

    app = Access(
        Starlette(routes=[Route("/there", answer), Route("/page", answer)]), keys, lambda path: path == "/page"
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://annotator")


@pytest.mark.parametrize("path", ["/there", "/not/there", "/"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": FIRST[:-1]},
        {"X-API-Key": FIRST + "x"},
        {"Authorization": FIRST},
        {"Authorization": f"Basic {FIRST}"},
        {"X-API-Key": "\xff" * 16},
    ],
)
async def test_without_a_valid_key_nothing_is_told(path: str, headers: dict[str, str]) -> None:
    async with client_of(Keys([FIRST], None)) as client:
        answer = await client.get(
            path, headers={name.encode(): value.encode("latin-1") for name, value in headers.items()}
        )
    assert answer.status_code == 401
    assert answer.json() == {"error": {"type": "key_missing", "message": "a valid API key is needed"}}
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("headers", [{"X-API-Key": SECOND}, {"Authorization": f"bearer {FIRST}"}])
async def test_any_of_several_keys_opens(headers: dict[str, str]) -> None:
    async with client_of(Keys([FIRST, SECOND], None)) as client:
        assert (await client.get("/there", headers=headers)).text == "open"


async def test_what_is_public_needs_no_key() -> None:
    async with client_of(Keys([FIRST], None)) as client:
        assert (await client.get("/page")).text == "open"
        assert (await client.get("/page/")).status_code == 401
