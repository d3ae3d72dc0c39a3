"""The real service, started and ended as a user does it."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from graph.model_directory import ModelDirectory
from graph.pipeline import Pipeline, load_pipeline
from serving.lifecycle.processes import end_processes, our_processes
from serving.settings import PROJECT, Settings

URL = "http://127.0.0.1:8000"
START_SECONDS = 180
STOP_SECONDS = 90


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the real service: first whoever starts one, then whoever uses the shared one."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in here:
        item.add_marker("e2e")
    ordered = iter(sorted(here, key=uses_shared_service))
    items[:] = [next(ordered) if item in here else item for item in items]


def uses_shared_service(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and "service" in item.fixturenames


def user_environment() -> dict[str, str]:
    """What a user has: not what serving.lifecycle.cluster sets for this process before it imports Ray."""
    set_for_us = {"RAY_AUTH_MODE", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"}
    return {name: value for name, value in os.environ.items() if name not in set_for_us}


class Service:
    """A command in a terminal of its own.

    Args:
        command: what the user types.
        environment: variables besides those of the tests.
    """

    def __init__(self, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=user_environment() | (environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)

    def wait_until_ready(self, key: str = "") -> None:
        """Until /ready says so to this key; what the command printed is in the error when it ends before."""
        for _ in range(10 * START_SECONDS):
            if self.process.poll() is not None:
                self._reader.join(10)
                raise AssertionError(f"ended with {self.process.returncode}: {''.join(self.lines)}")
            try:
                if httpx.get(f"{URL}/ready", headers={"X-API-Key": key}, timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            threading.Event().wait(0.1)
        raise AssertionError(f"not ready after {START_SECONDS} s: {''.join(self.lines)}")

    def wait_until_complete(self) -> None:
        """Until the launcher says that every replica runs."""
        self.wait_until_ready()
        while not any(line.startswith("ready after") for line in self.lines):
            assert self.process.poll() is None, "".join(self.lines)
            threading.Event().wait(0.1)

    def press_ctrl_c(self) -> int:
        """What the terminal does: SIGINT to the whole foreground group. Returns the exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        """Until the command has ended."""
        status = self.process.wait(STOP_SECONDS)
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


@pytest.fixture(scope="package", autouse=True)
def alone() -> Iterator[None]:
    """The service has fixed ports: none of this checkout may run, and none is left behind."""
    assert our_processes() == [], "the service of this folder runs: make stop"
    yield
    end_processes()


@pytest.fixture(scope="package")
def pipeline() -> Pipeline:
    """The definition of correct."""
    return load_pipeline(ModelDirectory.open(Settings().model_path, Settings().tasks_path))


@pytest.fixture(scope="package")
def service() -> Iterator[str]:
    """The address of a service that `make serve` started: one for all modules; leave it as you found it."""
    served = Service(["make", "serve"])
    try:
        served.wait_until_ready()
        yield URL
    finally:
        served.press_ctrl_c()
    assert our_processes() == []
