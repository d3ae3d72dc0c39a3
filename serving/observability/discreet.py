"""Errors told without what they say: a library's message may quote an utterance, and utterances are never logged."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.errors import AnnotatorError
from serving.settings import PROJECT


class StageFailed(Exception):
    """A stage could not compute; the message says what kind of error it was and where, and nothing else."""


@contextmanager
def discreet() -> Iterator[None]:
    """Turn every error of a stage into one that Serve may log.

    Raises:
        StageFailed: in place of any other.
        AnnotatorError: as it is, since its message is made for clients.
    """
    try:
        yield
    except AnnotatorError:
        raise
    except Exception as error:
        raise StageFailed(kind_and_place(error)) from None


def kind_and_place(error: BaseException) -> str:
    """The type of an error, and where in this project it was raised: `ValueError at graph/tokenizer.py:120`."""
    # Ray wraps what another process raised, and puts that process's words into its own.
    cause = getattr(error, "cause", None) or error
    if isinstance(cause, StageFailed):
        return str(cause)
    places = [
        f"{Path(frame.filename).relative_to(PROJECT)}:{frame.lineno}"
        for frame in traceback.extract_tb(cause.__traceback__)
        if Path(frame.filename).is_relative_to(PROJECT) and "site-packages" not in frame.filename
    ]
    return f"{type(cause).__name__} at {places[-1]}" if places else type(cause).__name__
