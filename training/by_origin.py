"""Test scores by task and origin of several model directories side by side, as models/SCORES.md shows them.

python -m training.by_origin models/full models/lite > models/SCORES.md
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from graph.errors import GraphError
from graph.model_directory import ModelDirectory


def table(models: Sequence[ModelDirectory]) -> str:
    """A row a task, and one a origin below it: rows of test, then accuracy / macro-F1 in percent of each model.

    Raises:
        ValueError: a manifest has no scores of a task, or they are of other rows than the first one's.
    """
    names = [model.manifest.name for model in models]
    command = " ".join(["python -m training.by_origin", *(f"models/{name}" for name in names)])
    lines = [
        "# Scores by origin",
        "",
        f"Of the test split, accuracy / macro-F1 in percent, as the manifests have them (`{command}`).",
        "Macro-F1 is over the classes that occur among an origin's labels or answers: of few rows, or of one, it says",
        "little.",
        "",
        f"| task, origin | rows | {' | '.join(names)} |",
        f"| --- | --- |{' --- |' * len(names)}",
    ]
    return "\n".join([*lines, *(row for task in models[0].tasks for row in _rows(task.name, models))])


def _rows(task: str, models: Sequence[ModelDirectory]) -> Iterator[str]:
    scores = [model.manifest.scores.get("test", {}).get(task, {}) for model in models]
    if "all" not in scores[0]:
        raise ValueError(f"{models[0].path} has no test scores of {task}")
    for part, first in scores[0].items():
        if any(part not in each or each[part]["rows"] != first["rows"] for each in scores):
            raise ValueError(f"{task}, {part}: the models were scored on other rows")
        shown = [f"{100 * each[part]['accuracy']:.1f} / {100 * each[part]['macro_f1']:.1f}" for each in scores]
        yield f"| {f'**{task}**' if part == 'all' else part} | {first['rows']:,} | {' | '.join(shown)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Test scores by origin, side by side.")
    parser.add_argument("models", type=Path, nargs="+", help="model directories of the same tasks")
    parser.add_argument("--tasks", type=Path, default=Path("configs/tasks.yaml"), help="task file (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        print(table([ModelDirectory.open(path, options.tasks) for path in options.models]))
    except (GraphError, ValueError) as error:
        sys.exit(f"no table: {error}")


if __name__ == "__main__":
    main()
