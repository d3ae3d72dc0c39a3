"""The recipes and task files beside the shipped ones, trained and exported on tiny stand-ins."""

from pathlib import Path

import pytest

from graph.model_directory import ModelDirectory
from graph.pipeline import load_pipeline
from graph.tasks import load_tasks
from tests import ROOT, TASKS_FILE
from tests.tiny import MARKED, TASKS, Architecture, tiny_recipe, write_base, write_data, write_marked_data, write_tasks
from training import calibrate
from training.quantize import quantize
from training.recipe import Base, Recipe, load_recipe
from training.train import train

CONFIGS = ROOT / "configs"


def on_tiny_base(name: str, base: Path) -> Recipe:
    """A shipped recipe with another base, and one epoch of few rows."""
    recipe = load_recipe(CONFIGS / "training" / f"{name}.yaml")
    small = {"base": Base(directory=base, licence="own"), "epochs": 1, "rows_per_task": 24, "threads": 1}
    return recipe.model_copy(update=small)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "architecture"), [("tinybert", "bert"), ("distilbert", "distilbert")])
def test_the_originals_recipe_trains_and_exports(
    tmp_path: Path, tiny_data: Path, tiny_tasks_file: Path, name: str, architecture: Architecture
) -> None:
    write_base(tmp_path / "base", architecture)
    recipe = on_tiny_base(name, tmp_path / "base")
    assert (recipe.betas, recipe.encoder_rate, recipe.head_rate, recipe.batch_size) == ((0.9, 0.99), 2e-5, 2e-5, 32)
    train(recipe, tiny_tasks_file, tiny_data, tmp_path / "work", tmp_path / "models" / name, resume=False)
    model = ModelDirectory.open(tmp_path / "models" / name, tiny_tasks_file)
    model.verify()
    assert model.manifest.pooling == "cls"
    assert len(load_pipeline(model)(["dog", "cat"])) == 2


def test_the_labels_of_the_multilabel_tasks_are_labels_of_the_served_one() -> None:
    served = {task.name: task for task in load_tasks(TASKS_FILE)}
    tasks = load_tasks(CONFIGS / "tasks_multilabel.yaml")
    assert {task.kind for task in tasks} == {"multi"}
    for task in tasks:
        assert [label for label in served[task.name].labels if label in task.labels] == list(task.labels)


@pytest.mark.slow
def test_a_task_of_kind_multi_is_trained_calibrated_quantized_and_answered(
    tmp_path: Path, tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, tasks_file, out = tmp_path / "data", tmp_path / "tasks.yaml", tmp_path / "models" / "marks"
    write_data(data, TASKS[:1], rows=120)
    write_marked_data(data, rows=240)
    write_tasks(tasks_file, [TASKS[0], MARKED])
    recipe = tiny_recipe(tiny_base, epochs=8, rows_per_task=240, encoder_rate=1e-2, head_rate=1e-2)
    train(recipe, tasks_file, data, tmp_path / "work", out, resume=False)
    assert "F1 of storm" in capsys.readouterr().out
    model = ModelDirectory.open(out, tasks_file)
    score = model.manifest.scores["test"][MARKED.name]["all"]
    assert set(score["f1"]) == set(MARKED.labels)
    assert score["accuracy"] > 0.75  # always no is right in three of five

    arguments = [str(out), str(data), "--tasks", str(tasks_file), "--plots", str(tmp_path / "plots"), "--threads", "1"]
    calibrate.main(arguments)
    calibrated = ModelDirectory.open(out, tasks_file)
    assert calibrated.manifest.temperatures[MARKED.name] != 1
    assert calibrated.manifest.scores["test"][MARKED.name]["all"]["f1"] == score["f1"], "0.5 stays 0.5"

    pipeline = load_pipeline(quantize(calibrated, data), "onnx-int8")
    (scores,) = pipeline(["apple bread cheese"])
    assert sum(scores[MARKED.name].values()) > 1.5, "several may hold at once"


def test_a_teacher_is_refused_for_kind_multi(tmp_path: Path, tiny_base: Path) -> None:
    write_marked_data(tmp_path / "data")
    write_tasks(tmp_path / "tasks.yaml", [MARKED])
    recipe = tiny_recipe(tiny_base, teacher={"models": ["models/none"]})
    with pytest.raises(ValueError, match="kind single alone"):
        train(recipe, tmp_path / "tasks.yaml", tmp_path / "data", tmp_path / "work", tmp_path / "out", resume=False)
