import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from graph.heads import Head
from graph.model_directory import ModelDirectory
from graph.pipeline import load_pipeline
from graph.tasks import Task, load_tasks
from tests import TASKS_FILE
from tests.tiny import TASKS, write_data
from training.calibrate import Answers, confidences, fit_temperature, main, reliability
from training.data import Row
from training.evaluate import as_plain, score_split

MULTI = Task(name="tiny_marks", labels=("big", "red", "old"), kind="multi")


def head_of(task: Task, temperature: float = 1.0) -> Head:
    """A head whose logits are the pooled vectors."""
    classes = len(task.labels)
    return Head(task, np.eye(classes, dtype=np.float32), np.zeros(classes, dtype=np.float32), temperature)


def answers_of(pooled: NDArray[np.float64], truth: NDArray[np.float64]) -> Answers:
    rows = [Row(str(i), 0, "written") for i in range(len(pooled))]
    return Answers(rows, pooled.astype(np.float32), truth.astype(np.float32))


def drawn(task: Task, rows: int = 40_000) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logits, and labels that follow their probabilities exactly."""
    random = np.random.default_rng(1)
    logits = 2 * random.normal(size=(rows, len(task.labels)))
    if task.kind == "multi":
        return logits, (random.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(float)
    # Gumbel's trick: the place of the maximum of logits and this noise is drawn from their softmax.
    return logits, np.eye(len(task.labels))[(logits + random.gumbel(size=logits.shape)).argmax(axis=1)]


@pytest.mark.parametrize("task", [TASKS[0], MULTI], ids=lambda task: task.kind)
@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_that_a_head_lacks_is_found(task: Task, temperature: float) -> None:
    logits, truth = drawn(task)
    answers = answers_of(logits * temperature, truth)
    head = head_of(task)
    assert fit_temperature(head, answers) == pytest.approx(temperature, rel=0.05)
    fitted = replace(head, temperature=fit_temperature(head, answers))
    assert reliability(fitted, answers).error < 0.01
    assert temperature == 1 or reliability(head, answers).error > 0.05


def test_the_answer_of_kind_single_is_the_top_label_before_the_rule() -> None:
    task = TASKS[1]
    assert task.rule is not None
    logits = np.log([[0.3, 0.25, 0.45], [0.7, 0.2, 0.1]])
    confidence, right = confidences(head_of(task), answers_of(logits, np.array([[0, 0, 1], [0, 1, 0]])))
    np.testing.assert_allclose(confidence, [0.45, 0.7], atol=1e-6)
    assert right.tolist() == [True, False]


def test_an_answer_of_kind_multi_is_each_yes_or_no_that_was_asked_for() -> None:
    logits = np.log(np.array([[0.9, 0.2, 0.6]]) / (1 - np.array([[0.9, 0.2, 0.6]])))
    confidence, right = confidences(head_of(MULTI), answers_of(logits, np.array([[1, 0, np.nan]])))
    np.testing.assert_allclose(confidence, [0.9, 0.8], atol=1e-6)
    assert right.tolist() == [True, True]


def test_one_wrong_answer_of_full_confidence_leaves_a_finite_temperature() -> None:
    logits = np.array([[1000.0, 0, 0]] * 3)
    assert 1 < fit_temperature(head_of(TASKS[0]), answers_of(logits, np.eye(3)[[0, 0, 1]])) < 100


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data")
    write_data(path, load_tasks(TASKS_FILE), rows=60)
    return path


def manifest_of(model: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((model / "manifest.json").read_text("utf-8"))
    return manifest


def test_the_program_rewrites_temperatures_and_scores_alone(
    tiny_model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, plots = tmp_path / "model", tmp_path / "plots"
    shutil.copytree(tiny_model, model)
    before = manifest_of(model)
    arguments = [str(model), str(data), "--tasks", str(TASKS_FILE), "--plots", str(plots), "--threads", "1"]
    main(arguments)
    after = manifest_of(model)
    assert {key for key in after if after[key] != before[key]} == {"temperatures", "scores"}
    assert set(after["temperatures"].values()).isdisjoint({1.0})

    opened = ModelDirectory.open(model, TASKS_FILE)
    opened.verify()
    served = load_pipeline(opened)
    assert after["scores"] == {split: as_plain(score_split(served, data, split)) for split in ("valid", "test")}
    assert {path.stem for path in plots.iterdir()} == set(after["temperatures"])

    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == ["task", *after["temperatures"]]
    assert printed[0].split()[-3:] == ["written", "test", "(rows)"]

    main(arguments)
    assert manifest_of(model) == after, "a second run finds the same"


def test_a_task_without_rows_is_one_line_and_leaves_the_manifest(tiny_model: Path, data: Path, tmp_path: Path) -> None:
    model, poor = tmp_path / "model", tmp_path / "data"
    shutil.copytree(tiny_model, model)
    shutil.copytree(data, poor)
    last = ModelDirectory.open(model, TASKS_FILE).tasks[-1]
    (poor / last.name / "test.tsv.gz").unlink()
    before = manifest_of(model)
    with pytest.raises(SystemExit) as caught:
        main([str(model), str(poor), "--tasks", str(TASKS_FILE), "--plots", str(tmp_path / "plots")])
    assert str(caught.value.code).startswith("cannot calibrate: ")
    assert "test.tsv.gz" in str(caught.value.code)
    assert manifest_of(model) == before
