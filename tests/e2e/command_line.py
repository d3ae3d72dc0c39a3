"""The service and its tasks by the command line alone, as a user has it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from serving.lifecycle.processes import our_processes
from serving.settings import PROJECT
from tests.e2e.conftest import URL, Service

ANNOTATOR = str(Path(sys.executable).with_name("annotator"))


def annotator(*arguments: object, stdin: str | None = None) -> str:
    """What a command printed; it must end well."""
    command = [ANNOTATOR, *map(str, arguments)]
    ended = subprocess.run(command, cwd=PROJECT, input=stdin, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@contextmanager
def served(*arguments: object) -> Iterator[None]:
    """A service that `annotator serve` started and `annotator stop` ends."""
    service = Service([ANNOTATOR, "serve", *map(str, arguments)])
    try:
        service.wait_until_ready()
        yield
    finally:
        told = json.loads(annotator("stop", "--json"))
        status = service.wait()
    assert (status, told) == (0, {"ran": True, "stopped": True})
    assert our_processes() == []


def served_scores(text: str) -> dict[str, dict[str, float]]:
    """What the original's route answers."""
    annotations: list[dict[str, dict[str, float]]] = httpx.post(f"{URL}/model", json={"sentences": [text]}).json()
    return annotations[0]
