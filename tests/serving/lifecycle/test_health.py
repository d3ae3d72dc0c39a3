import http.server
import threading
from collections.abc import Iterator

import pytest

from serving.lifecycle import health

KEY = "a-key-that-is-long-enough"


class Guarded(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        ready = self.path == "/ready" and self.headers["X-API-Key"] == KEY
        self.send_response(200 if ready else 401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    """Of a service that is ready and wants a key."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Guarded)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join(10)
    server.server_close()


def test_a_ready_service_is_healthy(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNOTATOR_API_KEYS", f"{KEY},another-key-of-the-service")
    assert health.main(port) == 0


def test_whatever_is_not_200_is_unhealthy(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert health.main(port) == 1
    assert "401" in capsys.readouterr().err


def test_no_service_is_unhealthy(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert health.main(1) == 1
    assert "refused" in capsys.readouterr().err
