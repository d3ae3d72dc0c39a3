"""A folder with quite other tasks, one of several labels at once: trained, served, asked for by command line."""

from pathlib import Path
from typing import Any

import pytest

from annotator.client import Client
from graph.model_directory import ModelDirectory
from graph.pipeline import load_pipeline
from serving.settings import PROJECT
from tests.e2e.command_line import annotator, served, served_scores
from tests.e2e.conftest import URL
from tests.tiny import MARKED, TASKS, tiny_recipe, write_base, write_data, write_marked_data, write_recipe, write_tasks

FUSED = str(PROJECT / "configs" / "serve" / "fused.yaml")


def test_quite_other_tasks_are_trained_and_served(tmp_path: Path) -> None:
    data, tasks, recipe, model = (tmp_path / name for name in ("data", "tasks.yaml", "recipe.yaml", "model"))
    write_base(tmp_path / "base")
    write_data(data)
    write_marked_data(data)
    write_tasks(tasks, [*TASKS, MARKED])
    write_recipe(recipe, tiny_recipe(tmp_path / "base"))
    annotator("train", data, "--config", recipe, "--tasks", tasks, "--out", model, "--work", tmp_path / "run")
    text = "apple and bread"
    expected: Any = load_pipeline(ModelDirectory.open(model, tasks))([text])[0]

    with served(FUSED, "--model", model, "--tasks", tasks):
        scores = served_scores(text)
        assert list(scores) == [task.name for task in (*TASKS, MARKED)]
        for task in (*TASKS, MARKED):
            assert scores[task.name] == pytest.approx(expected[task.name], abs=0.01)
        with Client(URL) as client:
            assert [task.kind for task in client.tasks()] == ["single", "single", "multi"]
            (annotation,) = client.annotate([text])
            assert {name: answer.scores for name, answer in annotation.tasks.items()} == {
                name: pytest.approx(scores, abs=1e-4) for name, scores in expected.items()
            }
