"""API keys against the real service: all but the page is shut, keys change without a restart, none is written down."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from serving.lifecycle.launch import LOGS
from serving.lifecycle.processes import our_processes
from serving.settings import PROJECT
from tests.e2e.browser import chromium
from tests.e2e.conftest import URL, Service
from tests.e2e.page.visit import top, type_in, wait_for_answer

ROUTES = ["/docs", "/health", "/ready", "/metrics", "/nothing", "/openapi.json", "/v1/model", "/v1/tasks", "/v2"]
OLD, NEW = "the-old-key-of-the-client", "the-new-key-of-the-client"
UTTERANCE = "an utterance that is nobody's business"


def status(path: str, key: str) -> int:
    return httpx.get(f"{URL}{path}", headers={"X-API-Key": key}, timeout=30).status_code


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Path]]:
    """A service that wants the keys of a file, and that file."""
    file = tmp_path_factory.mktemp("access") / "keys"
    file.write_text(f"{OLD}\n")
    served = Service(["make", "serve", "CONFIG=configs/serve/fused.yaml"], {"ANNOTATOR_API_KEYS_FILE": str(file)})
    try:
        served.wait_until_ready(OLD)
        yield served, file
    finally:
        served.press_ctrl_c()
    assert our_processes() == []


def test_the_page_asks_for_a_key_and_takes_a_right_one(guarded: tuple[Service, Path]) -> None:
    with chromium() as browser:
        page = browser.new_page()
        page.goto(URL)
        expect(page.get_by_text("This service asks for an API key.")).to_be_visible()
        page.get_by_label("API key").fill("a-wrong-one")
        page.keyboard.press("Enter")
        expect(page.get_by_text("The service does not accept this key.")).to_be_visible()
        page.get_by_label("API key").fill(OLD)
        page.keyboard.press("Enter")
        type_in(page, "i love you")
        wait_for_answer(page)
        assert "joy" in top(page)


def test_keys_shut_every_route_and_change_without_a_restart(guarded: tuple[Service, Path]) -> None:
    (served, file), files_of_ray = guarded, LOGS
    assert {httpx.get(f"{URL}{route}", timeout=30).status_code for route in ROUTES} == {401}
    page = httpx.get(f"{URL}/", timeout=30)
    files = re.findall(r'"(page/[^"]+)"', page.text)
    assert len(files) > 1
    assert {httpx.get(f"{URL}/{path}", timeout=30).status_code for path in ("", *files)} == {200}
    assert httpx.post(f"{URL}/model", json={"sentences": [UTTERANCE]}, timeout=30).status_code == 401
    bearer = {"Authorization": f"Bearer {OLD}"}
    refused = httpx.post(f"{URL}/model", json={"sentences": [UTTERANCE, 5]}, headers=bearer, timeout=30)
    assert refused.status_code == 422
    assert UTTERANCE not in refused.text
    assert (status("/ready", OLD), status("/ready", NEW)) == (200, 401)
    file.write_text(f"{OLD}\n{NEW}\n")
    served.wait_until_ready(NEW)
    assert status("/ready", OLD) == 200
    written = [*files_of_ray.rglob("*"), PROJECT / "runs" / "service.log"]
    for path in written:
        text = path.read_bytes() if path.is_file() else b""
        assert not any(secret.encode() in text for secret in (OLD, NEW, UTTERANCE)), path
    assert len(written) > 20
