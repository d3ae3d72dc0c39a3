"""One temperature a task, fitted on valid, and how far confidence and truth lie apart before and after.

python -m training.calibrate MODEL_DIR DATA [--plots docs/pictures/reliability]

Rewrites the temperatures of the manifest, and its scores: a task's rule works on calibrated probabilities, so a
temperature can change which label is served. Everything else stays as it is, and a second run finds the same.

The error is the expected calibration error (Naeini et al. 2015): answers go into 15 bins by confidence, and the gaps
between mean confidence and share of right answers are averaged, weighted by rows. It is of the top label, before the
rule. With n rows even a perfect model shows about 0.4 * sqrt(15 / n): on 100 rows a figure says little.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from graph.errors import GraphError
from graph.heads import Head
from graph.model_directory import ModelDirectory
from graph.pipeline import Pipeline, load_pipeline
from graph.tasks import Task
from training.data import NOT_ASKED, Row, Split, read_rows
from training.evaluate import as_plain, pool, score_answers
from training.manifest import write_manifest
from training.reliability import Reliability, draw

SPLITS: tuple[Split, ...] = ("valid", "test")

# The logarithm of a temperature is sought between these.
LOG_TEMPERATURES = (-3.0, 3.0)

# A float32 softmax rounds to 1, and one wrong answer of that confidence would weigh infinitely.
LEAST_CHANCE = 1e-7


@dataclass(frozen=True)
class Answers:
    """What one head makes of the rows of a split.

    Attributes:
        rows: n labelled utterances.
        pooled: `(n, hidden_size)`.
        truth: float32 `(n, classes)`: 1 where a label holds, 0 where not, NaN where nobody was asked.
    """

    rows: Sequence[Row]
    pooled: NDArray[np.float32]
    truth: NDArray[np.float32]

    def of_origin(self, origin: str) -> "Answers":
        """Those rows alone."""
        mine = np.array([row.origin == origin for row in self.rows])
        return Answers([row for row in self.rows if row.origin == origin], self.pooled[mine], self.truth[mine])


def collect(pipeline: Pipeline, data: Path, task: Task, split: Split) -> Answers:
    """Encode a split of a task.

    Raises:
        ValueError: it has no rows.
    """
    rows = read_rows(data, task, split)
    if not rows:
        raise ValueError(f"{data}: task {task.name} has no {split} rows")
    return Answers(rows, pool(pipeline, rows), truth_of(task, rows))


def truth_of(task: Task, rows: Sequence[Row]) -> NDArray[np.float32]:
    """What n rows say, as `Answers` has it."""
    if task.kind == "single":
        return np.eye(len(task.labels), dtype=np.float32)[[row.label for row in rows]]
    marks = np.array([row.marks for row in rows], dtype=np.float32)
    return np.where(marks == NOT_ASKED, np.float32(np.nan), marks)


def confidences(head: Head, answers: Answers) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """How sure the head is of its answers, and which of them are right, before the rule.

    Of kind single the top label of each row is an answer; of kind multi each yes or no that was asked for.
    """
    probabilities = head.probabilities(answers.pooled).astype(np.float64)
    if head.task.kind == "single":
        rows, top = np.arange(len(probabilities)), probabilities.argmax(axis=1)
        return probabilities[rows, top], answers.truth[rows, top] == 1
    asked = ~np.isnan(answers.truth)
    yes = probabilities[asked] >= 0.5
    return np.where(yes, probabilities[asked], 1 - probabilities[asked]), yes == (answers.truth[asked] == 1)


def fit_temperature(head: Head, answers: Answers) -> float:
    """The temperature that makes it likeliest that just these answers are right.

    The negative log likelihood is that of "the answer is right", not that of the true label among all: what lies below
    the top label is no part of the error that is to be small, and pulls the temperature elsewhere.
    """

    def loss(log_temperature: float) -> float:
        confidence, right = confidences(replace(head, temperature=float(np.exp(log_temperature))), answers)
        chance = np.where(right, confidence, 1 - confidence)
        return -float(np.log(np.maximum(chance, LEAST_CHANCE)).mean())

    found = minimize_scalar(loss, bounds=LOG_TEMPERATURES, method="bounded", options={"xatol": 1e-4})
    return round(float(np.exp(found.x)), 4)


def reliability(head: Head, answers: Answers) -> Reliability:
    """The head's confidence on a split, in bins."""
    return Reliability.of(*confidences(head, answers))


@dataclass(frozen=True)
class Calibration:
    """One task, before and after.

    Attributes:
        before: the head as it was exported, at temperature 1.
        after: the head with the fitted temperature.
        answers: by split.
    """

    before: Head
    after: Head
    answers: Mapping[Split, Answers]


def calibrate(pipeline: Pipeline, data: Path) -> list[Calibration]:
    """Fit every head of a pipeline, in contract order."""
    calibrations: list[Calibration] = []
    for task in pipeline.tasks:
        before = replace(pipeline.heads[task.name], temperature=1.0)
        answers = {split: collect(pipeline, data, task, split) for split in SPLITS}
        after = replace(before, temperature=fit_temperature(before, answers["valid"]))
        calibrations.append(Calibration(before, after, answers))
    return calibrations


def store(model: ModelDirectory, calibrations: Sequence[Calibration]) -> None:
    """Write temperatures, and the scores that go with them, into the manifest."""
    temperatures, scores = dict(model.manifest.temperatures), dict(model.manifest.scores)
    for calibration in calibrations:
        head = calibration.after
        temperatures[head.task.name] = head.temperature
        for split, answers in calibration.answers.items():
            by_origin = score_answers(head.task, answers.rows, head(answers.pooled))
            scores[split] = scores.get(split, {}) | as_plain({head.task.name: by_origin})
    write_manifest(model.manifest.model_copy(update={"temperatures": temperatures, "scores": scores}), model.path)


def table(calibrations: Sequence[Calibration], origin: str) -> str:
    """Temperatures and errors, before > after, of both splits and of the test rows of one origin."""
    lines = [f"{'task':32} {'temperature':>11} {'valid':>14} {'test':>14} {f'{origin} test (rows)':>22}"]
    for calibration in calibrations:
        chosen = calibration.answers["test"].of_origin(origin)
        cells = [_errors(calibration, calibration.answers[split]) for split in SPLITS]
        last = f"{_errors(calibration, chosen)} ({len(chosen.rows)})" if chosen.rows else "-"
        task, temperature = calibration.after.task.name, calibration.after.temperature
        lines.append(f"{task:32} {temperature:11.3f} {cells[0]:>14} {cells[1]:>14} {last:>22}")
    return "\n".join(lines)


def draw_all(calibrations: Sequence[Calibration], folder: Path) -> None:
    """A reliability diagram a task, `<task>.png`, of its test rows before and after."""
    folder.mkdir(parents=True, exist_ok=True)
    for calibration in calibrations:
        before, after = (
            reliability(head, calibration.answers["test"]) for head in (calibration.before, calibration.after)
        )
        draw(calibration.after.task.name, before, after, folder / f"{calibration.after.task.name}.png")


def _errors(calibration: Calibration, answers: Answers) -> str:
    before, after = (reliability(head, answers).error for head in (calibration.before, calibration.after))
    return f"{before:.3f} > {after:.3f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Calibrate a model directory, print the table, draw what is wished."""
    parser = argparse.ArgumentParser(description="Fit one temperature a task on valid.")
    parser.add_argument("model", type=Path, help="model directory; its manifest is rewritten")
    parser.add_argument("data", type=Path, help="folder with <task>/<split>.tsv.gz")
    parser.add_argument("--tasks", type=Path, default=Path("configs/tasks.yaml"), help="task file (%(default)s)")
    parser.add_argument("--origin", default="written", help="origin with errors of its own (%(default)s)")
    parser.add_argument("--plots", type=Path, help="folder for a reliability diagram a task")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        model = ModelDirectory.open(options.model, options.tasks)
        calibrations = calibrate(load_pipeline(model, threads=options.threads), options.data)
        store(model, calibrations)
        if options.plots is not None:
            draw_all(calibrations, options.plots)
    except (GraphError, OSError, ValueError) as error:
        sys.exit(f"cannot calibrate: {' '.join(str(error).split())}")
    print(table(calibrations, options.origin))


if __name__ == "__main__":
    main()
