"""Accuracy and macro-F1 of a pipeline, a task and a split, also by origin.

python -m training.evaluate MODEL_DIR DATA [--split test] [--runtime torch]
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score

from graph.encoder import RuntimeChoice
from graph.errors import GraphError
from graph.model_directory import ModelDirectory
from graph.pipeline import Pipeline, load_pipeline
from graph.tasks import Task
from training.data import NOT_ASKED, Row, Split, read_rows

# Rows are scored in chunks: tokens and vectors of a whole split need not be held at once.
CHUNK_ROWS = 2048


@dataclass(frozen=True)
class Score:
    """How right the top label is; of kind multi each yes (0.5 and more) or no that was asked for.

    Attributes:
        rows: how many rows were scored.
        accuracy: share of right rows, of kind multi of right answers, 0 to 1.
        macro_f1: mean F1 over the classes that occur among labels or answers, 0 to 1.
        f1: that of each such class; of kind multi.
    """

    rows: int
    accuracy: float
    macro_f1: float
    f1: Mapping[str, float] = field(default_factory=dict)


def score_rows(pipeline: Pipeline, task: Task, rows: Sequence[Row]) -> dict[str, Score]:
    """Score one task on rows; key "all", then one key an origin. The label counted is the one that is served."""
    return score_answers(task, rows, pipeline.heads[task.name](pool(pipeline, rows)))


def pool(pipeline: Pipeline, rows: Sequence[Row]) -> NDArray[np.float32]:
    """What the encoder makes of n rows: `(n, hidden_size)`."""
    chunks = (rows[i : i + CHUNK_ROWS] for i in range(0, len(rows), CHUNK_ROWS))
    return np.concatenate([pipeline.pooled([row.text for row in chunk]) for chunk in chunks])


def score_answers(task: Task, rows: Sequence[Row], probabilities: NDArray[np.float32]) -> dict[str, Score]:
    """Scores of what a head answers to n rows, `(n, classes)`; keys as in `score_rows`."""
    origins = np.array([row.origin for row in rows])
    parts = {"all": np.ones(len(rows), dtype=bool)}
    parts |= {origin: origins == origin for origin in sorted(set(origins.tolist()))}
    if task.kind == "multi":
        marks = np.array([row.marks for row in rows])
        return {part: _score_marks(task, marks[mine], probabilities[mine] >= 0.5) for part, mine in parts.items()}
    truth, predicted = np.array([row.label for row in rows]), probabilities.argmax(axis=1)
    return {part: _score(truth[mine], predicted[mine]) for part, mine in parts.items()}


def _score_marks(task: Task, marks: NDArray[np.int64], predicted: NDArray[np.bool_]) -> Score:
    asked = marks != NOT_ASKED
    f1 = {
        label: float(f1_score(marks[mine, i] == 1, predicted[mine, i], zero_division=0))
        for i, (label, mine) in enumerate(zip(task.labels, asked.T, strict=True))
        if (marks[mine, i] == 1).any() or predicted[mine, i].any()
    }
    right = (predicted == (marks == 1))[asked]
    return Score(
        rows=len(marks),
        accuracy=float(right.mean()) if len(right) else 0.0,
        macro_f1=float(np.mean(list(f1.values()))) if f1 else 0.0,
        f1=f1,
    )


def _score(truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> Score:
    return Score(
        rows=len(truth),
        accuracy=float(accuracy_score(truth, predicted)),
        macro_f1=float(f1_score(truth, predicted, average="macro", zero_division=0)),
    )


def score_split(pipeline: Pipeline, data: Path, split: Split, limit: int | None = None) -> dict[str, dict[str, Score]]:
    """Scores of all tasks on a split: task name to "all" or origin to score.

    Args:
        pipeline: what is scored.
        data: folder of the tasks' data.
        split: which split.
        limit: score at most so many rows a task, evenly picked.

    Raises:
        ValueError: a task has no rows in this split.
    """
    scores: dict[str, dict[str, Score]] = {}
    for task in pipeline.tasks:
        rows = read_rows(data, task, split)
        if not rows:
            raise ValueError(f"{data}: task {task.name} has no {split} rows")
        if limit is not None and len(rows) > limit:
            rows = [rows[i] for i in np.linspace(0, len(rows) - 1, limit).astype(int)]
        scores[task.name] = score_rows(pipeline, task, rows)
    return scores


def mean_accuracy(scores: Mapping[str, Mapping[str, Score]]) -> float:
    """Mean over the tasks."""
    return float(np.mean([by_origin["all"].accuracy for by_origin in scores.values()]))


def mean_macro_f1(scores: Mapping[str, Mapping[str, Score]]) -> float:
    """Mean over the tasks."""
    return float(np.mean([by_origin["all"].macro_f1 for by_origin in scores.values()]))


def table(scores: Mapping[str, Mapping[str, Score]], by_origin: bool = True) -> str:
    """Scores as a table of text, in percent."""
    lines = [f"{'task / origin':32} {'rows':>6} {'accuracy':>9} {'macro-F1':>9}"]
    for task, parts in scores.items():
        for part, score in parts.items():
            if part == "all" or by_origin:
                name = task if part == "all" else f"    {part}"
                lines.append(f"{name:32} {score.rows:6} {100 * score.accuracy:9.1f} {100 * score.macro_f1:9.1f}")
            if part == "all":
                lines += [f"{f'    F1 of {label}':32} {'':6} {'':9} {100 * f1:9.1f}" for label, f1 in score.f1.items()]
    lines.append(
        f"{'mean of the tasks':32} {'':6} {100 * mean_accuracy(scores):9.1f} {100 * mean_macro_f1(scores):9.1f}"
    )
    return "\n".join(lines)


def as_plain(scores: Mapping[str, Mapping[str, Score]]) -> dict[str, Any]:
    """Scores as the manifest holds them, to four decimals."""
    return {task: {part: _plain(score) for part, score in parts.items()} for task, parts in scores.items()}


def _plain(score: Score) -> dict[str, Any]:
    plain = {"rows": score.rows, "accuracy": round(score.accuracy, 4), "macro_f1": round(score.macro_f1, 4)}
    return plain | ({"f1": {label: round(f1, 4) for label, f1 in score.f1.items()}} if score.f1 else {})


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of a model directory."""
    parser = argparse.ArgumentParser(description="Accuracy and macro-F1 of a model directory.")
    parser.add_argument("model", type=Path, help="model directory")
    parser.add_argument("data", type=Path, help="folder with <task>/<split>.tsv.gz")
    parser.add_argument("--tasks", type=Path, default=Path("configs/tasks.yaml"), help="task file (%(default)s)")
    parser.add_argument("--split", choices=get_args(Split), default="test", help="which split (%(default)s)")
    parser.add_argument(
        "--runtime", choices=get_args(RuntimeChoice), default="auto", help="encoder runtime (%(default)s)"
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        model = ModelDirectory.open(options.model, options.tasks)
        pipeline = load_pipeline(model, options.runtime, threads=options.threads)
        print(table(score_split(pipeline, options.data, options.split)))
    except (GraphError, OSError, ValueError) as error:
        sys.exit(f"cannot evaluate: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
