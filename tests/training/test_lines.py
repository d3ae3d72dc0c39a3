"""The project's own training lines."""

import csv
from pathlib import Path

import pytest

from graph.tasks import Task, load_tasks
from tests import ROOT, TASKS_FILE
from training.data import read_file, text_hash

LINES = ROOT / "training" / "lines"
OWN_SETS = ROOT / "tests" / "models" / "own"
TASKS = load_tasks(TASKS_FILE)


def held_out() -> set[bytes]:
    """Hashes of every line of the project's own test sets."""
    texts: list[str] = []
    for name in ("chat", "toxicity", "everyday"):
        with (OWN_SETS / f"{name}.tsv").open(encoding="utf-8", newline="") as stream:
            texts += [row["text"] for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)]
    return {text_hash(text) for text in texts}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_lines_of_a_task_can_be_read_and_cover_every_class(task: Task) -> None:
    rows = read_file(LINES / f"{task.name}.tsv", task)
    assert {row.label for row in rows} == set(range(len(task.labels)))
    assert {row.origin for row in rows} == {"own"}
    assert len({text_hash(row.text) for row in rows}) == len(rows), "no line stands there twice"


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_no_line_stands_in_a_test_set_of_the_project(task: Task) -> None:
    rows = read_file(LINES / f"{task.name}.tsv", task)
    hashes = held_out()
    assert len(hashes) > 1300
    assert [row.text for row in rows if text_hash(row.text) in hashes] == []


def test_there_is_no_file_but_those_of_tasks() -> None:
    names = {path.name for path in Path(LINES).iterdir()}
    assert names == {"README.md", *(f"{task.name}.tsv" for task in TASKS)}
