"""python -m training.convert FORMAT SRC OUT."""

import argparse
import importlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from graph.errors import GraphError
from graph.tasks import load_tasks
from training.convert.examples import Example, split_examples, write_examples
from training.convert.form import Form, form_names, load_form
from training.data import Split

Reader = Callable[[Path, Form], Iterator[tuple[Split, Example]]]


def convert(name: str, source: Path, out: Path, tasks_file: Path) -> dict[Split, list[Example]]:
    """Read a published data set and write it as the trainer reads it.

    Args:
        name: of a file in configs/convert.
        source: folder of the data set, or its one file.
        out: a DATA folder; files that are there are not touched.
        tasks_file: whose labels the result has.

    Raises:
        OSError: a file is missing, or there already.
        ValueError: a file has another shape, or a label is none of the task's.
        TasksError: the task file is wrong.
    """
    form = load_form(name)
    task = next((task for task in load_tasks(tasks_file) if task.name == form.task), None)
    if task is None:
        raise ValueError(f"{tasks_file} has no task {form.task}")
    form.check(task)
    reader: Reader = importlib.import_module(f"training.convert.{form.reader}").read
    splits = split_examples(reader(source, form))
    if not splits["train"]:
        raise ValueError(f"{source} has no row with a label that the format's file names")
    write_examples(splits, task, form.origin, out)
    return splits


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert, and print how many rows of which label came of it."""
    parser = argparse.ArgumentParser(prog="python -m training.convert", description="Convert a published data set.")
    parser.add_argument("format", choices=form_names(), metavar="FORMAT", help=", ".join(form_names()))
    parser.add_argument("source", type=Path, metavar="SRC", help="folder of the data set, or its one file")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write <task>/<split>.tsv.gz into")
    parser.add_argument("--tasks", type=Path, default=Path("configs/tasks.yaml"), help="task file (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        splits = convert(options.format, options.source, options.out, options.tasks)
    except (GraphError, OSError, ValueError) as error:
        sys.exit(f"cannot convert: {' '.join(str(error).split())}")
    for split, examples in splits.items():
        counts = Counter(example.label for example in examples if example.label)
        print(f"{split}: {counts.total()} rows: {', '.join(f'{label} {n}' for label, n in counts.most_common())}")


if __name__ == "__main__":
    main()
