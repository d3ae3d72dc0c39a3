"""How the command line ends: its exit statuses, and the error that is one line on the screen."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from urllib.parse import urlsplit

from annotator.errors import CallError, DeadlineExceeded, NoConnection
from graph.errors import GraphError

HERE = ("localhost", "127.0.0.1", "::1")
"""Hosts at which `annotator serve` would be found."""


class Exit(IntEnum):
    """Exit statuses, for scripts."""

    DONE = 0
    FAILED = 1
    """It could not be done; the message says why."""
    USAGE = 2
    """The command line asks for what is not there: an option, a file, a model, a column, a task."""
    NO_SERVICE = 3
    """No service answers, or it is not ready."""
    REFUSED = 4
    """The service answered with an error."""
    INTERRUPTED = 130
    """Ctrl-C, as in every shell."""


class Failure(Exception):
    """Ends the program with one line and a status."""

    def __init__(self, message: str, status: Exit = Exit.FAILED) -> None:
        super().__init__(" ".join(message.split()))
        self.status = status


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """What is known to go wrong with files, models and services becomes a `Failure`."""
    try:
        yield
    except NoConnection as error:
        hint = "; annotator serve starts one" if urlsplit(error.url).hostname in HERE else ""
        raise Failure(f"{error}{hint}", Exit.NO_SERVICE) from error
    except DeadlineExceeded as error:
        raise Failure(str(error), Exit.NO_SERVICE) from error
    except CallError as error:
        raise Failure(str(error), Exit.REFUSED) from error
    except BrokenPipeError:  # whoever read the output has had enough
        raise
    except GraphError as error:
        raise Failure(str(error), Exit.USAGE) from error
    except OSError as error:
        told = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise Failure(told, Exit.USAGE if isinstance(error, FileNotFoundError) else Exit.FAILED) from error
    except ValueError as error:
        raise Failure(str(error)) from error


@contextmanager
def needs_packages() -> Iterator[None]:
    """Say how the packages come that a command needs besides those of serving, when they are not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        told = f"this needs {error.name}: make .venv/all.installed in the project's folder brings it"
        raise Failure(told) from error
