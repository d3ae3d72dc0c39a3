import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from graph.model_directory import ModelDirectory
from tests import ROOT
from tests.tiny import ORIGINS, TASKS, tiny_recipe, write_data, write_recipe, write_rows, write_tasks, write_tiny_model
from training.checkpoint import Checkpoint
from training.data import read_rows, read_seen, read_training_rows, text_hash
from training.evaluate import mean_accuracy, score_split
from training.model import trained_weights
from training.recipe import Recipe
from training.train import Trainer, clock, main


def silent(line: str) -> None:
    pass


def make_trainer(recipe: Recipe, data: Path, work: Path, report: Callable[[str], None] = silent) -> Trainer:
    work.mkdir(parents=True, exist_ok=True)
    write_tasks(work / "tasks.yaml")
    return Trainer(recipe, work / "tasks.yaml", data, work / "checkpoint.pt", report)


def assert_same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert list(one) == list(other)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


# Enough for a tiny encoder to tell the words of `write_data` apart.
LEARNS: dict[str, Any] = {"encoder_rate": 1e-2, "head_rate": 1e-2, "epochs": 8, "rows_per_task": 120}


class Killed(BaseException):
    """Stands for the end of the process at a moment that a test chooses."""


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("moment", ["step 12/24", "valid after step 12/24", "step 24/24", "valid after step 24/24"])
def test_a_run_that_is_broken_off_and_resumed_ends_with_the_same_weights(
    tiny_base: Path, tiny_data: Path, tmp_path: Path, precision: str, moment: str
) -> None:
    recipe = tiny_recipe(tiny_base, precision=precision, checkpoint_every=5)
    whole = make_trainer(recipe, tiny_data, tmp_path / "whole")
    whole.run()

    def killed_at_the_moment(line: str) -> None:
        if line.startswith(moment):
            raise Killed

    broken = make_trainer(recipe, tiny_data, tmp_path / "broken", killed_at_the_moment)
    with pytest.raises(Killed):
        broken.run()
    resumed = make_trainer(recipe, tiny_data, tmp_path / "broken")
    resumed.resume()
    assert 0 < resumed.step < whole.step
    resumed.run()
    assert resumed.step == whole.step
    assert_same_weights(resumed.model.state_dict(), whole.model.state_dict())


def test_a_run_learns(tiny_base: Path, tmp_path: Path) -> None:
    write_data(tmp_path / "data", rows=120)
    trainer = make_trainer(tiny_recipe(tiny_base, **LEARNS), tmp_path / "data", tmp_path)
    trainer.run()
    assert trainer.schedule.standing.best > 0.9  # a guess is right once in three times


def test_a_run_leaves_the_weights_of_its_best_epoch(tiny_base: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_data(data, rows=120)
    for task in TASKS:
        # With every label of valid wrong, what is learned makes the score worse: an early epoch is the best.
        wrong = {label: task.labels[i - 1] for i, label in enumerate(task.labels)}
        rows = read_rows(data, task, "valid")
        write_rows(data, task.name, "valid", [(row.text, wrong[task.labels[row.label]], row.origin) for row in rows])
    reports: list[str] = []
    trainer = make_trainer(tiny_recipe(tiny_base, **LEARNS), data, tmp_path, reports.append)
    trainer.run()
    means = [float(found) for found in re.findall(r"mean of the tasks +([0-9.]+)", "\n".join(reports))]
    assert len(means) == LEARNS["epochs"]
    left = mean_accuracy(score_split(trainer.model.pipeline(trainer.tokenizer), data, "valid"))
    assert 100 * left == pytest.approx(max(means), abs=0.06)
    assert max(means) > means[-1] + 5


def test_a_run_leaves_the_mean_of_its_weights_and_others(
    tiny_base: Path, tiny_data: Path, tiny_tasks_file: Path, tmp_path: Path
) -> None:
    paths = [tmp_path / "start", tmp_path / "other"]
    for seed, path in enumerate(paths):
        write_tiny_model(path, tiny_tasks_file, seed=seed)
    left = []
    for shares in ({}, {paths[0]: 0.25, paths[1]: 0.25}):
        recipe = tiny_recipe(tiny_base, start=paths[0], layers=None, mean_with=shares)
        trainer = make_trainer(recipe, tiny_data, tmp_path / str(len(shares)))
        trainer.run()
        left.append(trainer.model.state_dict())
    first, second = (trained_weights(ModelDirectory.open(path, tiny_tasks_file)) for path in paths)
    for name, mean in left[1].items():
        torch.testing.assert_close(mean, left[0][name] / 2 + first[name] / 4 + second[name] / 4)
    assert any(not torch.equal(left[0][name], mean) for name, mean in left[1].items())


def test_weights_of_other_layers_are_refused_before_the_run(
    tiny_base: Path, tiny_data: Path, tiny_tasks_file: Path, tmp_path: Path
) -> None:
    write_tiny_model(tmp_path / "other", tiny_tasks_file)
    recipe = tiny_recipe(tiny_base, layers=[0], mean_with={tmp_path / "other": 0.5})
    with pytest.raises(ValueError, match="other has no mean with this run"):
        make_trainer(recipe, tiny_data, tmp_path)


def test_a_run_does_not_go_on_from_another_start(
    tiny_base: Path, tiny_data: Path, tiny_tasks_file: Path, tmp_path: Path
) -> None:
    write_tiny_model(tmp_path / "start", tiny_tasks_file, seed=1)
    recipe = tiny_recipe(tiny_base, start=tmp_path / "start", layers=None)
    make_trainer(recipe, tiny_data, tmp_path).save()
    make_trainer(recipe, tiny_data, tmp_path).resume()
    write_tiny_model(tmp_path / "start", tiny_tasks_file, seed=2)
    with pytest.raises(ValueError, match=r"checkpoint.pt was begun with other weights in .*start"):
        make_trainer(recipe, tiny_data, tmp_path).resume()


def test_a_checkpoint_of_another_recipe_is_refused(tiny_base: Path, tiny_data: Path, tmp_path: Path) -> None:
    make_trainer(tiny_recipe(tiny_base), tiny_data, tmp_path).save()
    other = make_trainer(tiny_recipe(tiny_base, head_rate=0.5), tiny_data, tmp_path)
    with pytest.raises(ValueError, match=r"checkpoint.pt was written under another recipe"):
        other.resume()


@pytest.mark.parametrize("setting", ["rows", "task_weights"])
def test_a_setting_of_a_task_that_does_not_exist_is_refused(
    setting: str, tiny_base: Path, tiny_data: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="there is no task emotoin"):
        make_trainer(tiny_recipe(tiny_base, **{setting: {"emotoin": 1}}), tiny_data, tmp_path)


def test_a_loss_that_is_no_number_ends_the_run(tiny_base: Path, tiny_data: Path, tmp_path: Path) -> None:
    trainer = make_trainer(tiny_recipe(tiny_base, encoder_rate=1e20, head_rate=1e20), tiny_data, tmp_path)
    with pytest.raises(ValueError, match="at step"):
        trainer.run()


def test_a_run_ends_when_validation_stands_still(tiny_base: Path, tiny_data: Path, tmp_path: Path) -> None:
    reports: list[str] = []
    recipe = tiny_recipe(
        tiny_base,
        epochs=50,
        validate_every=2,
        plateau={"patience": 1, "stop_after": 2},
        head_rate=0.0,
        encoder_rate=0.0,
    )
    trainer = make_trainer(recipe, tiny_data, tmp_path, reports.append)
    trainer.run()
    assert trainer.step == 6, "the first validation is the best, two more are not better"
    assert sum(line.startswith("valid after step") for line in reports) == 3


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "0:00"), (50, "0:50"), (59.7, "1:00"), (61, "1:01"), (119.6, "2:00"), (3600, "60:00")]
)
def test_time_left_is_told_in_minutes_and_seconds(seconds: float, expected: str) -> None:
    assert clock(seconds) == expected


@dataclass(frozen=True)
class Place:
    """Where a run of the program reads and writes."""

    path: Path
    data: Path
    tasks_file: Path
    recipe: Recipe

    @property
    def checkpoint(self) -> Path:
        return self.path / "work" / "checkpoint.pt"

    @property
    def out(self) -> Path:
        return self.path / "models" / "tiny"

    def arguments(self, *more: str) -> list[str]:
        self.path.mkdir(exist_ok=True)
        write_recipe(self.path / "recipe.yaml", self.recipe)
        named = {
            "--config": self.path / "recipe.yaml",
            "--tasks": self.tasks_file,
            "--work": self.checkpoint.parent,
            "--out": self.out,
        }
        return [str(self.data), *(str(part) for pair in named.items() for part in pair), *more]

    def start(self, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "training.train", *self.arguments(*more)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *more: str) -> str:
        """Run to the end; returns what was printed."""
        process = self.start(*more)
        printed, errors = process.communicate()
        assert process.returncode == 0, errors
        return printed


@pytest.fixture(scope="module")
def make_place(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, tiny_data: Path, tiny_tasks_file: Path
) -> Callable[..., Place]:
    # Enough epochs that a kill after the first checkpoint comes long before the end.
    def make(**settings: Any) -> Place:
        recipe = tiny_recipe(tiny_base, **{"epochs": 12, "checkpoint_every": 5} | settings)
        return Place(tmp_path_factory.mktemp("run"), tiny_data, tiny_tasks_file, recipe)

    return make


@pytest.fixture(scope="module")
def finished(make_place: Callable[..., Place]) -> tuple[Place, str]:
    """An uninterrupted run, and what it printed."""
    place = make_place()
    return place, place.run()


@pytest.mark.slow
def test_the_program_writes_a_model_directory_that_opens(finished: tuple[Place, str], tiny_data: Path) -> None:
    place, _ = finished
    model = ModelDirectory.open(place.out, place.tasks_file)
    model.verify()
    assert set(model.manifest.scores) == {"valid", "test"}
    rows_by_task = read_training_rows(tiny_data, TASKS, place.recipe)
    assert read_seen(place.out.with_name("tiny.seen")) == {text_hash(row.text) for rows in rows_by_task for row in rows}


@pytest.mark.slow
def test_the_program_prints_progress_with_time_left_and_the_scores(finished: tuple[Place, str]) -> None:
    place, printed = finished
    steps = re.findall(r"^step (\d+)/(\d+)  loss \d+\.\d{3}  \d+\.\d steps/s  left \d+:\d\d$", printed, re.M)
    assert len(steps) >= place.recipe.epochs
    assert steps[-1][0] == steps[-1][1]
    assert len(re.findall(r"^valid after step \d+/\d+$", printed, re.M)) == 12
    for split in ("valid", "test"):
        table = printed.partition(f"{place.out}, {split}\n")[2].partition("\n\n")[0].splitlines()
        assert table[0].split() == ["task", "/", "origin", "rows", "accuracy", "macro-F1"]
        lines = [re.split(r" {2,}", line.strip()) for line in table[1:]]
        parts = sorted(ORIGINS)
        assert [line[0] for line in lines] == [TASKS[0].name, *parts, TASKS[1].name, *parts, "mean of the tasks"]
        assert all(0 <= float(number) <= 100 for line in lines for number in line[-2:])


@pytest.mark.slow
def test_a_killed_and_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    finished: tuple[Place, str], make_place: Callable[..., Place]
) -> None:
    place = make_place()
    process = place.start()
    while process.poll() is None and not place.checkpoint.exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not place.out.exists(), "it was killed while it trained"
    step = Checkpoint.load(place.checkpoint).step

    assert f"resumed after step {step}\n" in place.run("--resume")
    whole, _ = finished
    for file in ("encoder.safetensors", "heads.safetensors"):
        assert_same_weights(load_file(place.out / file), load_file(whole.out / file))


def test_a_run_is_not_begun_over_the_checkpoint_of_another(
    make_place: Callable[..., Place], capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_place()
    make_trainer(place.recipe, place.data, place.checkpoint.parent).save()
    before = place.checkpoint.read_bytes()
    with pytest.raises(SystemExit) as caught:
        main(place.arguments())
    assert isinstance(caught.value.code, str), "printed to standard error, and the exit status is 1"
    assert "--resume" in caught.value.code
    assert str(place.checkpoint) in caught.value.code
    assert "\n" not in caught.value.code
    assert place.checkpoint.read_bytes() == before
    assert not place.out.exists()
