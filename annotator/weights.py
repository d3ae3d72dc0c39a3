"""`annotator train`, `evaluate`, `export`, `import-deeppavlov`: how weights come to be, and how good they are."""

import sys
from collections.abc import Mapping
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from annotator.exits import Exit, Failure, needs_packages, told_in_one_line
from annotator.options import (
    JsonOption,
    ModelOption,
    TasksOption,
    ThreadsOption,
    examples,
    places,
    progress_aside,
    refuse,
)

if TYPE_CHECKING:
    from training.evaluate import Score
    from training.recipe import Recipe

TRAIN_EXAMPLES = examples(
    "annotator train path/to/data",
    "annotator train path/to/data --config my_recipe.yaml --tasks my_tasks.yaml --out models/mine",
    "annotator train --head my_task my_rows.tsv",
    "annotator train --head my_task my_rows.tsv --json | jq .scores.test",
)
EVALUATE_EXAMPLES = examples(
    "annotator evaluate path/to/data",
    "annotator evaluate path/to/data --model models/mine --tasks my_tasks.yaml --by-origin",
    "annotator evaluate path/to/data --confusion pictures --json > scores.json",
)
EXPORT_EXAMPLES = examples("annotator export path/to/data --out models/so_far")
IMPORT_EXAMPLES = examples(
    "annotator import-deeppavlov model.pth.tar --backbone path/to/bert --tasks configs/tasks.yaml --out models/imported"
)

DataArgument = Annotated[Path, typer.Argument(help="Folder with <task>/{train,valid,test}.tsv.gz.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", exists=True, dir_okay=False, show_default="configs/training/own.yaml", help="Recipe of the run."
    ),
]
WorkOption = Annotated[
    Path | None, typer.Option("--work", show_default="runs/<name>", help="Folder of the run's checkpoint.")
]


def train(
    data: Annotated[
        Path, typer.Argument(help="Folder with <task>/{train,valid,test}.tsv.gz; with --head a TSV file: text, label.")
    ],
    config: ConfigOption = None,
    tasks: TasksOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Model directory to write.", show_default="models/<name>; with --head <model>-<task>"),
    ] = None,
    work: WorkOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    head: Annotated[
        str | None, typer.Option(help="Add a task of this name to --model, by a head on its frozen encoder.")
    ] = None,
    model: ModelOption = None,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Train weights for all tasks, or with --head one more task for weights that are there, in a minute."""
    if head is not None:
        refuse({"--config": config, "--work": work, "--resume": resume}, "goes without --head, which needs no run")
        train_head(head, data, model, tasks, out, threads, json)
        return
    refuse({"--model": model}, "goes with --head; a run begins with what its recipe names")
    refuse({"--threads": threads}, "goes with --head; a run takes the threads of its recipe")
    check_folder(data)
    with needs_packages():
        from training.train import train as run
    tasks_file = places(None, tasks)[1]
    with told_in_one_line():
        recipe = read_recipe(config)
        target = out or Path("models") / recipe.name
        with progress_aside(json):
            run(recipe, tasks_file, data, work or Path("runs") / recipe.name, target, resume)
        if json:
            print_trained(target, tasks_file)


def train_head(
    name: str, table: Path, model: Path | None, tasks: Path | None, out: Path | None, threads: int | None, json: bool
) -> None:
    """Add a head, and say how good it is and how to serve it."""
    from rich.console import Console

    from annotator.engines import cores
    from annotator.view import score_table

    with needs_packages():
        from training import head as heads
    if not table.is_file():
        raise Failure(f"no file {table}: --head takes a TSV file with the columns text and label", Exit.USAGE)
    model_path, tasks_path = places(model, tasks)
    target = out or model_path.parent / f"{model_path.name}-{name}"
    with told_in_one_line():
        with progress_aside(json):
            scores = heads.train_head(name, table, model_path, tasks_path, target, threads=threads or cores())
        if json:
            print_trained(target, heads.tasks_file_beside(target), name)
            return
    for split, of_split in scores.items():
        Console().print(score_table(f"\n{target}, {split}", {name: of_split}, by_origin=len(of_split) > 2))
    print(f"\nannotator serve --model {target} --tasks {heads.tasks_file_beside(target)}")


def print_trained(path: Path, tasks_file: Path, only: str | None = None) -> None:
    """Print for a program what was written: where it is, its version, and the scores of all tasks or of one."""
    from graph.model_directory import ModelDirectory

    model = ModelDirectory.open(path, tasks_file)
    scores = {
        split: {task: parts for task, parts in of_split.items() if only in (None, task)}
        for split, of_split in model.manifest.scores.items()
    }
    told = {"model": str(path), "tasks": str(tasks_file), "version": model.version, "scores": scores}
    print(dumps(told, ensure_ascii=False))


def evaluate(
    data: DataArgument,
    model: ModelOption = None,
    tasks: TasksOption = None,
    split: Annotated[Literal["train", "valid", "test"], typer.Option(help="Which rows.")] = "test",
    by_origin: Annotated[bool, typer.Option("--by-origin", help="Also each origin of rows by itself.")] = False,
    confusion: Annotated[
        Path | None, typer.Option(help="Folder for a picture a task of what is taken for what.", show_default="none")
    ] = None,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Accuracy and macro-F1 of a model directory, a task and in the mean."""
    from annotator.engines import cores
    from graph.model_directory import ModelDirectory
    from graph.pipeline import load_pipeline

    check_folder(data)
    with needs_packages():
        from training.evaluate import score_split
    with told_in_one_line():
        opened = ModelDirectory.open(*places(model, tasks))
        pipeline = load_pipeline(opened, threads=threads or cores())
        scores = score_split(pipeline, data, split)
        if confusion:
            with needs_packages():
                from training.confusion import draw_split
            draw_split(pipeline, data, split, confusion)
    print_scores(f"{opened.path}, {split}", scores, by_origin, json)
    if confusion and not json:
        print(f"{confusion}: a picture a task")


def export(
    data: DataArgument,
    config: ConfigOption = None,
    tasks: TasksOption = None,
    out: Annotated[Path | None, typer.Option(help="Model directory to write.", show_default="models/<name>")] = None,
    work: WorkOption = None,
    json: JsonOption = False,
) -> None:
    """Write the best weights so far of a training run that is under way or was broken off."""
    check_folder(data)
    with needs_packages():
        from training.export import export as write_model
        from training.train import Trainer
    with told_in_one_line():
        recipe = read_recipe(config)
        tasks_file = places(None, tasks)[1]
        checkpoint = (work or Path("runs") / recipe.name) / "checkpoint.pt"
        if not checkpoint.exists():
            raise Failure(f"no training run at {checkpoint}: --work names its folder", Exit.USAGE)
        target = out or Path("models") / recipe.name
        if target in recipe.read_models:
            raise Failure(f"the run reads {target}, and could not go on without it: name another --out", Exit.USAGE)
        trainer = Trainer(recipe, tasks_file, data, checkpoint, lambda line: print(line, file=sys.stderr))
        trainer.resume()
        if not trainer.best_model:
            raise Failure(f"{checkpoint}: it was not validated yet, there are no best weights so far")
        trainer.take_best()
        scores = write_model(trainer.model, trainer.rows, recipe, tasks_file, data, target)
    print_scores(f"{target}, test", scores["test"], by_origin=False, json=json)


def import_deeppavlov(
    checkpoint: Annotated[
        Path, typer.Argument(help="model.pth.tar of a multitask_transformer.", exists=True, dir_okay=False)
    ],
    backbone: Annotated[
        Path, typer.Option(help="Hugging Face directory of its backbone.", exists=True, file_okay=False)
    ],
    out: Annotated[Path, typer.Option(help="Model directory to write; must not exist.")],
    tasks: TasksOption = None,
) -> None:
    """Make a model directory of a DeepPavlov checkpoint, which gives the scores that DeepPavlov gave."""
    with needs_packages():
        from training.import_deeppavlov import import_checkpoint
    with told_in_one_line():
        import_checkpoint(checkpoint, backbone, places(None, tasks)[1], out)
    print(f"{out}: imported from {checkpoint}")


def print_scores(title: str, scores: "Mapping[str, Mapping[str, Score]]", by_origin: bool, json: bool) -> None:
    """Print what was scored, for a person or for a program."""
    from training.evaluate import as_plain, mean_accuracy, mean_macro_f1

    if json:
        print(dumps(as_plain(scores), ensure_ascii=False))
        return
    from rich.console import Console

    from annotator.view import score_table

    table = score_table(title, scores, by_origin)
    table.add_row("mean", "", f"{100 * mean_accuracy(scores):.1f}", f"{100 * mean_macro_f1(scores):.1f}", style="bold")
    Console().print(table)


def check_folder(data: Path) -> None:
    """See that the data are there.

    Raises:
        Failure: they are not.
    """
    if not data.is_dir():
        raise Failure(f"no folder {data}: it should hold <task>/train.tsv.gz and so on", Exit.USAGE)


def read_recipe(path: Path | None) -> "Recipe":
    """The recipe of that file, or the one for data of one's own.

    Raises:
        Failure: it is no YAML.
        ValueError: it is no recipe.
    """
    import yaml

    from serving.settings import PROJECT
    from training.recipe import load_recipe

    path = path or PROJECT / "configs" / "training" / "own.yaml"
    try:
        return load_recipe(path)
    except yaml.YAMLError as error:
        raise Failure(f"{path} is no recipe: {error}") from error
