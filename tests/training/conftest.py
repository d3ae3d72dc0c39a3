from pathlib import Path

import pytest

from tests.tiny import write_data, write_tasks
from tests.training.deeppavlov_place import Place


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DATA folder of the made-up tasks. Shared: nothing writes into it."""
    path = tmp_path_factory.mktemp("data")
    write_data(path)
    return path


@pytest.fixture(scope="session")
def tiny_tasks_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The task file of `tiny_data`."""
    path = tmp_path_factory.mktemp("tasks") / "tasks.yaml"
    write_tasks(path)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A golden BERT checkpoint of DeepPavlov's that a test may spoil."""
    return Place.make(tmp_path / "place", "bert")
