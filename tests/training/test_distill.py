import math
from pathlib import Path

import numpy as np
import pytest
import torch

from graph.model_directory import ModelDirectory
from graph.pipeline import Pipeline, load_pipeline
from tests import TASKS_FILE
from tests.tiny import TASKS, WRITTEN, tiny_recipe, write_recipe, write_tiny_model
from training.data import draw
from training.distill import SoftLabels
from training.train import Trainer


def silent(line: str) -> None:
    pass


def test_soft_labels_are_the_teachers_probabilities_of_all_tasks_before_rules(tiny_pipeline: Pipeline) -> None:
    texts = ["dog", "you fool", "dog"]
    logarithms = SoftLabels([tiny_pipeline], silent)(texts)
    pooled = tiny_pipeline.pooled(texts)
    expected = np.concatenate([head.probabilities(pooled) for head in tiny_pipeline.heads.values()], axis=1)
    np.testing.assert_allclose(np.exp(logarithms.astype(float)), np.maximum(expected, 1e-6), rtol=0.01)


def test_several_teachers_are_heard_in_the_mean(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    write_tiny_model(tmp_path, TASKS_FILE, seed=2)
    other = load_pipeline(ModelDirectory.open(tmp_path, TASKS_FILE))
    texts = ["dog", "you fool"]
    both, first, second = (
        np.exp(SoftLabels(teachers, silent)(texts).astype(float))
        for teachers in ([tiny_pipeline, other], [tiny_pipeline], [other])
    )
    assert not np.allclose(first, second, atol=0.02)
    np.testing.assert_allclose(both, (first + second) / 2, atol=2e-3)


def test_an_utterance_is_asked_for_once(tiny_pipeline: Pipeline) -> None:
    reports: list[str] = []
    soft_labels = SoftLabels([tiny_pipeline], reports.append)
    soft_labels(["dog", "cat", "dog"])
    soft_labels(["cat", "dog"])
    assert reports == ["teacher: 2/2 utterances"]


@pytest.mark.slow
def test_a_student_comes_nearer_to_its_teacher(
    tiny_base: Path, tiny_data: Path, tiny_tasks_file: Path, tmp_path: Path
) -> None:
    write_tiny_model(tmp_path / "teacher", tiny_tasks_file, seed=2)
    recipe = tiny_recipe(
        tiny_base,
        teacher={"models": [tmp_path / "teacher"], "weight": 1e6, "temperature": 1},
        label_smoothing=0,
        epochs=6,
        head_rate=3e-2,
        encoder_rate=1e-3,
    )
    write_recipe(tmp_path / "recipe.yaml", recipe)
    lines: list[str] = []
    trainer = Trainer(recipe, tiny_tasks_file, tiny_data, tmp_path / "checkpoint.pt", lines.append)
    trainer.run()
    losses = [float(line.split("loss ")[1].split()[0]) for line in lines if line.startswith("step ")]
    assert losses[-1] < 0.5 * losses[0]
    assert all(math.isfinite(loss) for loss in losses)
    assert len(TASKS) == len(trainer.model.heads)


def test_an_origin_that_no_row_has_is_refused(tiny_base: Path, tiny_data: Path, tiny_tasks_file: Path) -> None:
    recipe = tiny_recipe(tiny_base, teacher={"models": ["models/none"], "own_task_from_label": ["writen"]})
    with pytest.raises(ValueError, match="no row that is trained on is of origin writen"):
        Trainer(recipe, tiny_tasks_file, tiny_data, tiny_base / "checkpoint.pt", silent)


def test_rows_of_chosen_origins_learn_their_own_task_from_the_label_alone(
    tiny_base: Path, tiny_data: Path, tiny_tasks_file: Path, tmp_path: Path
) -> None:
    write_tiny_model(tmp_path / "teacher", tiny_tasks_file, seed=2)
    teacher = {"models": [tmp_path / "teacher"], "own_task_from_label": [WRITTEN]}
    recipe = tiny_recipe(tiny_base, teacher=teacher)
    trainer = Trainer(recipe, tiny_tasks_file, tiny_data, tmp_path / "checkpoint.pt", silent)
    epoch = draw(trainer.rows, TASKS, trainer.tokenizer, recipe, epoch=0)
    softened = trainer.soften(epoch)
    assert softened is not None
    ends = np.cumsum([len(task.labels) for task in TASKS])
    for of_row, (own, row) in zip(softened, epoch.rows, strict=True):
        for position, answers in enumerate(np.split(of_row, ends[:-1])):
            assert np.isnan(answers).all() == np.isnan(answers).any() == (position == own and row.origin == WRITTEN)
    assert {row.origin == WRITTEN for _, row in epoch.rows} == {True, False}


def test_a_teacher_does_not_change_what_a_run_begins_with(
    tiny_base: Path, tiny_data: Path, tiny_tasks_file: Path, tmp_path: Path
) -> None:
    write_tiny_model(tmp_path / "teacher", tiny_tasks_file, seed=2)
    taught, alone = (
        Trainer(
            tiny_recipe(tiny_base, teacher=teacher), tiny_tasks_file, tiny_data, tmp_path / "checkpoint.pt", silent
        ).model.state_dict()
        for teacher in ({"models": [tmp_path / "teacher"]}, None)
    )
    for name, weight in alone.items():
        assert torch.equal(taught[name], weight), name
