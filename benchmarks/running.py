"""A contestant from start to end."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import processes
from benchmarks.contestants import Contestant, surroundings
from serving.settings import PROJECT, Settings

LOGS = PROJECT / "runs" / "benchmarks" / "logs"
START_SECONDS = 180
STOP_SECONDS = 90
FIRST = ["hello there"]


class NotStarted(Exception):
    """A contestant ended, or gave no answer in time; the message is one line."""


@contextmanager
def exits_unless_started() -> Iterator[None]:
    """Ends a benchmark that lacks a file or a program, or whose service has not started, with one line and status 1."""
    try:
        yield
    except (NotStarted, OSError) as error:
        sys.exit(str(error))


@dataclass(frozen=True)
class Running:
    """A contestant that answers.

    Attributes:
        contestant: which.
        started_s: seconds from its command to its first answer.
        mark: of its processes.
    """

    contestant: Contestant
    started_s: float
    mark: str

    def usage(self) -> dict[str, processes.Usage]:
        """What its processes have taken, by title."""
        return processes.usage(processes.marked(self.mark))


def see_that_none_needs_a_key() -> None:
    """What measures shows no key, and would wait in vain for a first answer.

    Raises:
        NotStarted: a service of ours would want one.
    """
    chosen = Settings()
    if chosen.api_keys.get_secret_value() or chosen.api_keys_file:
        raise NotStarted("bench asks without a key: unset ANNOTATOR_API_KEYS and ANNOTATOR_API_KEYS_FILE")


@contextmanager
def running(contestant: Contestant) -> Iterator[Running]:
    """Start a contestant, wait for its first answer, and end all of it at the end.

    Raises:
        NotStarted: it ended, or gave no answer in time, or would want a key, or another one listens at its address.
    """
    if contestant.environment is None:
        see_that_none_needs_a_key()
    _see_that_nobody_listens(contestant)
    mark = f"{contestant.name}.{os.getpid()}.{time.monotonic_ns()}"
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{contestant.name}.log"
    began = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            contestant.command,
            cwd=PROJECT,
            env=surroundings(contestant) | {processes.MARK: mark},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for_an_answer(contestant, process, log)
        yield Running(contestant, time.monotonic() - began, mark)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        processes.end(mark)
        process.wait()


def _see_that_nobody_listens(contestant: Contestant) -> None:
    """Otherwise another one's answers would be measured."""
    address = urlsplit(contestant.url)
    with socket.socket() as probe:
        if probe.connect_ex((address.hostname, address.port)) == 0:
            raise NotStarted(f"{contestant.name}: somebody listens at {address.netloc} already")


def _wait_for_an_answer(contestant: Contestant, process: "subprocess.Popen[bytes]", log: Path) -> None:
    body = contestant.dialect.body(FIRST).encode()
    request = urllib.request.Request(contestant.url, body, {"Content-Type": "application/json"})
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NotStarted(f"{contestant.name} ended with status {process.returncode}; see {log}")
        try:
            with urllib.request.urlopen(request, timeout=10):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise NotStarted(f"{contestant.name} gave no answer within {START_SECONDS} s; see {log}")
