"""Options that several commands have."""

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.exits import Exit, Failure

if TYPE_CHECKING:
    from serving.settings import Settings

ModelOption = Annotated[
    Path | None, typer.Option("--model", show_default="the shipped models/lite", help="Model directory.")
]
TasksOption = Annotated[
    Path | None,
    typer.Option(
        "--tasks",
        exists=True,
        dir_okay=False,
        show_default="configs/tasks.yaml",
        help="Task file of the model directory.",
    ),
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, show_default="all cores", help="CPU threads of the encoder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
KeyOption = Annotated[str | None, typer.Option(envvar="ANNOTATOR_KEY", help="API key of the service, if it wants one.")]


def examples(*lines: str) -> str:
    """The end of a command's help."""
    return "\n".join(["[bold]Examples[/bold]", *lines])


def places(model: Path | None, tasks: Path | None) -> tuple[Path, Path]:
    """Model directory and task file: those given, or the shipped ones."""
    shipped = settings()
    return model or shipped.model_path, tasks or shipped.tasks_path


def settings() -> "Settings":
    """The settings that the environment makes.

    Raises:
        Failure: a variable has no such value.
    """
    from pydantic import ValidationError

    from serving.settings import ENVIRONMENT_PREFIX, Settings

    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        variable = f"{ENVIRONMENT_PREFIX}{first['loc'][0]}".upper()
        raise Failure(f"{variable} in the environment: {first['msg']}") from error


def progress_aside(json: bool) -> AbstractContextManager[object]:
    """Where JSON is to stand on standard output, what is printed meanwhile goes to standard error."""
    return redirect_stdout(sys.stderr) if json else nullcontext()


def refuse(given: Mapping[str, object], why: str) -> None:
    """See that no option is given that would be passed over.

    Raises:
        Failure: one is.
    """
    for option, value in given.items():
        if value:
            raise Failure(f"{option} {why}", Exit.USAGE)
