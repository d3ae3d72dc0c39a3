"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

ModelOption = Annotated[
    Path | None, typer.Option("--model", show_default="the shipped models/lite", help="Model directory.")
]
TasksOption = Annotated[
    Path | None, typer.Option("--tasks", show_default="configs/tasks.yaml", help="Task file of the model directory.")
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, show_default="all cores", help="CPU threads of the encoder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
KeyOption = Annotated[str | None, typer.Option(envvar="ANNOTATOR_KEY", help="API key of the service, if it wants one.")]


def examples(*lines: str) -> str:
    """The end of a command's help."""
    return "\n".join(["[bold]Examples[/bold]", *lines])


def places(model: Path | None, tasks: Path | None) -> tuple[Path, Path]:
    """Model directory and task file: those given, or the shipped ones."""
    from serving.settings import Settings

    shipped = Settings()
    return model or shipped.model_path, tasks or shipped.tasks_path
