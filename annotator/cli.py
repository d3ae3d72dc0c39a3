"""`annotator`, the command line: its commands, and how they end.

Here stand names and help; what a command does stands in the module of its subject, which imports what it needs only
when it runs, so that help and completion are quick and torch is loaded by training alone.
"""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from annotator import annotation, service, weights
from annotator.exits import Exit, Failure

STATUSES = {
    Exit.DONE: "done",
    Exit.FAILED: "it could not be done; one line says why",
    Exit.USAGE: "the command line asks for what is not there: an option, a file, a model, a column, a task",
    Exit.NO_SERVICE: "no service answers, or it is not ready",
    Exit.REFUSED: "the service answered with an error",
    Exit.INTERRUPTED: "Ctrl-C",
}

app = typer.Typer(
    name="annotator",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog="\n".join(["[bold]Exit status[/bold]", *(f"{status:<4} {said}" for status, said in STATUSES.items())]),
)
app.command(epilog=annotation.EXAMPLES)(annotation.annotate)
app.command(epilog=weights.TRAIN_EXAMPLES)(weights.train)
app.command(epilog=weights.EVALUATE_EXAMPLES)(weights.evaluate)
app.command(epilog=weights.EXPORT_EXAMPLES)(weights.export)
app.command(epilog=weights.IMPORT_EXAMPLES)(weights.import_deeppavlov)
app.command(epilog=service.SERVE_EXAMPLES)(service.serve)
app.command(epilog=service.STOP_EXAMPLES)(service.stop)
app.command(epilog=service.STATUS_EXAMPLES)(service.status)
app.command(epilog=service.BENCH_EXAMPLES)(service.bench)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version("annotator"))
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Nine classifications of a user's utterance at once: annotate texts, train, and run the service."""
    if context.invoked_subcommand is None:
        print(context.get_help())


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with its status; what goes wrong is one line on standard error."""
    try:
        sys.exit(app(arguments, prog_name="annotator", standalone_mode=False) or Exit.DONE)
    except Failure as failure:
        message, status = str(failure), failure.status
    except typer.TyperException as error:  # an option or argument that is none
        message, status = f"{error.format_message()} (--help shows what there is)", Exit.USAGE
    print(f"annotator: {message}", file=sys.stderr)
    sys.exit(status)
