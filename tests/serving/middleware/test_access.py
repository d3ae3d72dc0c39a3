import logging
import os
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from serving.middleware import access
from serving.middleware.access import Access, BadKeys, Keys, load_keys
from serving.settings import Settings

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


def test_a_file_is_read_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "LOOK_SECONDS", -1)
    file = tmp_path / "keys"
    file.write_text(f"# of the web client\n{FIRST}\n\n")
    keys = Keys([], file)
    assert keys.accept(FIRST.encode())
    assert not keys.accept(SECOND.encode())
    file.write_text(f"{FIRST}\n{SECOND}\n")
    assert keys.accept(FIRST.encode())
    assert keys.accept(SECOND.encode())
    replacement = tmp_path / "new"
    replacement.write_text(f"{SECOND}\n")
    os.replace(replacement, file)
    assert not keys.accept(FIRST.encode())
    assert keys.accept(SECOND.encode())


def test_a_file_that_breaks_leaves_the_keys_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(access, "LOOK_SECONDS", -1)
    file = tmp_path / "keys"
    file.write_text(FIRST)
    keys = Keys([], file)
    file.write_text("")
    with caplog.at_level(logging.ERROR):
        assert keys.accept(FIRST.encode())
    file.unlink()
    assert keys.accept(FIRST.encode())
    assert FIRST not in caplog.text


@pytest.mark.parametrize("content", ["", "# nothing\n", "short\n", "\udcff"])
def test_a_file_without_usable_keys_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "keys"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadKeys, match="api_keys_file") as raised:
        Keys([], file)
    assert "short" not in str(raised.value)


def test_without_keys_everybody_may_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_keys(Settings()) is None
    monkeypatch.setenv("ANNOTATOR_API_KEYS", f"{FIRST}, {SECOND}")
    keys = load_keys(Settings())
    assert keys is not None
    assert keys.accept(SECOND.encode())
