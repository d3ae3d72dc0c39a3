"""Models of one task each beside one of all tasks, on the same rows: what sharing an encoder costs.

python -m training.single_tasks DATA --config configs/training/own.yaml [--set epochs=1]

Nothing is exported; the table of test scores is the result.
"""

import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml

from graph.errors import GraphError
from graph.tasks import Task, load_tasks
from training.evaluate import Score, score_split
from training.recipe import Recipe, load_recipe
from training.train import Trainer, recipe_parser

Scores = Mapping[str, Mapping[str, Score]]


def trained(recipe: Recipe, tasks: Sequence[Task], data: Path, report: Callable[[str], None]) -> Scores:
    """Test scores of a model that is trained on these tasks alone, from the recipe's base."""
    with tempfile.TemporaryDirectory() as folder:
        tasks_file = Path(folder) / "tasks.yaml"
        tasks_file.write_text(yaml.safe_dump({"tasks": [task.model_dump(mode="json") for task in tasks]}), "utf-8")
        trainer = Trainer(recipe, tasks_file, data, Path(folder) / "checkpoint.pt", report)
        trainer.run()
        return score_split(trainer.model.pipeline(trainer.tokenizer), data, "test")


def compare(recipe: Recipe, tasks: Sequence[Task], data: Path, report: Callable[[str], None]) -> str:
    """The table: a row a task and their mean, test accuracy and macro-F1 in percent, alone and together."""
    together = trained(recipe, tasks, data, report)
    alone = {task.name: trained(recipe, [task], data, report)[task.name] for task in tasks}
    rows = {task.name: [*_percent(alone[task.name]), *_percent(together[task.name])] for task in tasks}
    rows["**mean**"] = [statistics.mean(column) for column in zip(*rows.values(), strict=True)]
    head = "| task | alone | together | difference of accuracy |\n| --- | --- | --- | --- |"
    return "\n".join([head, *(_line(name, *of_task) for name, of_task in rows.items())])


def _percent(scores: Mapping[str, Score]) -> tuple[float, float]:
    return 100 * scores["all"].accuracy, 100 * scores["all"].macro_f1


def _line(name: str, accuracy: float, f1: float, shared_accuracy: float, shared_f1: float) -> str:
    difference = shared_accuracy - accuracy
    return f"| {name} | {accuracy:.1f} / {f1:.1f} | {shared_accuracy:.1f} / {shared_f1:.1f} | {difference:+.1f} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train all of them and print the table."""
    options = recipe_parser("Compare a model a task with one model of all tasks.").parse_args(arguments)
    try:
        tasks = load_tasks(options.tasks)
        recipe = load_recipe(options.config, options.changes)
        print(compare(recipe, tasks, options.data, lambda line: print(line, file=sys.stderr)))
    except (GraphError, OSError, ValueError, yaml.YAMLError) as error:
        sys.exit(f"cannot compare: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
