"""A service with faults on demand, and the table of what was measured.

`make faults` runs the long version and prints the table; `make test` runs the short one.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from graph.model_directory import ModelDirectory
from graph.pipeline import Pipeline, load_pipeline
from serving.lifecycle.processes import end_processes, our_processes
from serving.settings import PROJECT, Settings
from tests.e2e.conftest import URL, Service
from tests.e2e.contract import TASKS, chat_lines
from tests.faults.load import Record

CONFIG = Path("tests/faults/serve_config.yaml")
ARGUMENTS: dict[str, Any] = yaml.safe_load((PROJECT / CONFIG).read_text("utf-8"))["applications"][0]["args"]
TABLE = PROJECT / "runs" / "faults.json"
Figure = Callable[[str, str], None]
Count = Callable[[Record], int]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long-faults", action="store_true", help="the long version of the fault tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything in this folder needs the real service, and some of it time that `make test` does not have."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("e2e")
            item.add_marker(pytest.mark.timeout(1800))
    if not config.getoption("--long-faults", default=False):
        items[:] = [item for item in items if item.get_closest_marker("long_faults") is None]


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Whether this is the long version."""
    return bool(request.config.getoption("--long-faults", default=False))


@pytest.fixture(scope="session")
def figures() -> Iterator[dict[str, str]]:
    """What was measured, by fault; written when all is done."""
    measured: dict[str, str] = {}
    yield measured
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(json.dumps(measured, indent=2) + "\n", "utf-8")


@pytest.fixture
def figure(figures: dict[str, str]) -> Figure:
    """Notes a figure for the table."""
    return figures.__setitem__


@pytest.fixture(scope="package")
def pipeline() -> Pipeline:
    """The definition of correct."""
    return load_pipeline(ModelDirectory.open(Settings().model_path, Settings().tasks_path))


@contextmanager
def running(config: Path) -> Iterator[Service]:
    """A service of this config, and nothing of it afterwards."""
    assert our_processes() == [], "the service of this folder runs: make stop"
    command = [sys.executable, "-m", "serving.lifecycle.launch", str(config)]
    served = Service(command, {"PYTHONPATH": str(PROJECT)})
    try:
        served.wait_until_complete()
        yield served
    finally:
        if served.process.poll() is None:
            served.press_ctrl_c()
        left = end_processes()
    assert left == []


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A running service with faults on demand, a file of tests its own, since some end it."""
    with running(CONFIG) as served:
        yield served


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=URL, timeout=60) as opened:
        yield opened


@pytest.fixture(scope="package")
def wrong_answers(pipeline: Pipeline) -> Count:
    """Counts the answers, each to one of `chat_lines`, that are not those of the pipeline."""
    expected = pipeline(chat_lines())

    def is_wrong(number: int, body: bytes) -> bool:
        (annotation,) = json.loads(body)
        exact = expected[number]
        return any(
            abs(annotation[task.name][label] - exact[task.name][label]) > 0.0101
            for task in TASKS
            for label in task.labels
        )

    return lambda record: sum(is_wrong(r.number, r.body) for r in record.replies if r.status == 200)
