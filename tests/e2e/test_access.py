"""API keys against the real service: all but the page is shut, keys change without a restart, none is written down."""

import re
from pathlib import Path

import httpx

from serving.lifecycle.processes import our_processes
from serving.settings import PROJECT
from tests.e2e.conftest import URL, Service

ROUTES = ["/docs", "/health", "/ready", "/metrics", "/nothing", "/openapi.json", "/v1/model", "/v1/tasks", "/v2"]
OLD, NEW = "the-old-key-of-the-client", "the-new-key-of-the-client"
UTTERANCE = "an utterance that is nobody's business"


def status(path: str, key: str) -> int:
    return httpx.get(f"{URL}{path}", headers={"X-API-Key": key}, timeout=30).status_code


def test_keys_shut_every_route_and_change_without_a_restart(tmp_path: Path) -> None:
    file, files_of_ray = tmp_path / "keys", Path("/tmp/ray/session_latest/logs")
    file.write_text(f"{OLD}\n")
    command = ["make", "serve", "CONFIG=configs/serve/fused.yaml"]
    served = Service(command, {"ANNOTATOR_API_KEYS_FILE": str(file)})
    try:
        served.wait_until_ready(OLD)
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
    finally:
        served.press_ctrl_c()
    assert our_processes() == []
