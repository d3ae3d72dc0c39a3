"""What the folders may know of one another."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from graph.tasks import load_tasks
from tests import ROOT, TASKS_FILE

GRAPH_FILES = sorted((ROOT / "graph").glob("**/*.py"))


def program_files() -> Iterator[Path]:
    """Every Python file of the program: all but the tests and virtual environments, which are hidden or in runs/."""
    for path in ROOT.iterdir():
        if path.is_dir() and not path.name.startswith(".") and path.name not in ("tests", "runs"):
            yield from path.rglob("*.py")
        elif path.suffix == ".py":
            yield path


def imported_packages(path: Path) -> set[str]:
    packages: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            packages |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            packages.add((node.module or "").partition(".")[0])
    return packages


@pytest.mark.parametrize("path", GRAPH_FILES, ids=lambda path: path.name)
def test_the_graph_knows_neither_ray_nor_http_nor_who_uses_it(path: Path) -> None:
    assert imported_packages(path).isdisjoint({"ray", "starlette", "serving", "training", "annotator", "benchmarks"})


def test_what_answers_requests_knows_nothing_of_the_programs_that_start_and_end_it() -> None:
    files = [path for path in (ROOT / "serving").rglob("*.py") if path.parent.name != "lifecycle"]
    assert len(files) > 30
    assert [path.name for path in files if "serving.lifecycle" in path.read_text("utf-8")] == []


@pytest.mark.parametrize("path", GRAPH_FILES, ids=lambda path: path.name)
def test_only_the_torch_runtime_imports_torch(path: Path) -> None:
    imports_torch = not imported_packages(path).isdisjoint({"torch", "transformers"})
    assert imports_torch == (path.name == "runtime_torch.py")


def test_no_file_of_the_program_contains_the_name_of_a_task() -> None:
    names = re.compile("|".join(task.name for task in load_tasks(TASKS_FILE)))
    files = list(program_files())
    assert set(GRAPH_FILES) < set(files)
    found = {path.relative_to(ROOT).as_posix(): names.findall(path.read_text("utf-8")) for path in files}
    assert {path: hits for path, hits in found.items() if hits} == {}
