"""What the service answers, as typed values."""

import math
import time
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from annotator.errors import BY_STATUS, Refused, Unavailable, UnexpectedAnswer


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class Scores(_Answer):
    """The answer of one task: its highest label, and probabilities by label as far as they were asked for."""

    label: str
    scores: dict[str, float]


class Weights(_Answer):
    """Which weights answered."""

    name: str
    version: str


class Annotation(_Answer):
    """The answers for one text: its tokens, whether more were cut off, and scores by task name in contract order."""

    tokens: int
    truncated: bool
    tasks: dict[str, Scores]
    model: Weights


class TaskInfo(_Answer):
    """A task that is served."""

    name: str
    labels: tuple[str, ...]
    kind: str


def parsed(type_: Any, content: Any) -> Any:
    """The content as a value of this type.

    Raises:
        UnexpectedAnswer: it is none.
    """
    try:
        return TypeAdapter(type_).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UnexpectedAnswer(f"not an answer of this service: {where}: {first['msg']}") from error


def refusal(response: httpx.Response) -> Refused:
    """The exception for an error status, whoever answered it."""
    error: Any = {}
    try:
        body = response.json()
        error = body["error"] if isinstance(body, dict) and isinstance(body.get("error"), dict) else {}
    except ValueError:
        pass
    type_ = str(error.get("type", ""))
    kind = Unavailable if type_ == Unavailable.TYPE else BY_STATUS.get(response.status_code, Refused)
    message = str(error.get("message") or f"{response.status_code} {response.reason_phrase} from {response.url}")
    return kind(response.status_code, type_, message, retry_after(response))


def retry_after(response: httpx.Response) -> float | None:
    """Seconds of the header Retry-After, which is a number of seconds or a date; None where it is neither."""
    value = response.headers.get("Retry-After", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
