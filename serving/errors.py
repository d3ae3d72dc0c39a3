"""Everything that is answered instead of annotations, with its status, in one JSON shape; /v2 has its protocol's.

AnnotatorError
├── MalformedJson       400  the body is not JSON
├── MalformedHttp       400  a header cannot be read
├── KeyMissing          401  no valid API key
├── NoSuchPath          404
├── WrongMethod         405
├── TooSlow             408  the body does not arrive
├── BodyTooLarge        413  more bytes than the limit
├── InvalidField        422  JSON of the wrong shape or type; names the field
├── TooLong             422  more tokens than the limit, where cutting was forbidden
├── HeadersTooLarge     431  more bytes than the limit
├── AnnotationFailed    500  a stage could not compute this request
├── Overloaded          503  more is waiting than the limit; with Retry-After
├── Unavailable         503  the graph does not answer; with Retry-After
└── DeadlineExceeded    504  the answer was not there in time
"""

from typing import ClassVar

from pydantic import ValidationError
from starlette.responses import JSONResponse

RETRY_AFTER_SECONDS = 1

# Of a name that a client has made up, so much is told back.
LONGEST_NAME = 100


def _of_protocol(path: str) -> bool:
    return f"{path}/".startswith("/v2/")


def first_problem(error: ValidationError) -> str:
    """The first thing that pydantic found wrong, in one line that names the field as JSON paths are written."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).removeprefix(".")
    return f"{field[:LONGEST_NAME]}: {first['msg']}"


class AnnotatorError(Exception):
    """Base of all errors that are answered; the message is for the client."""

    status: ClassVar[int]
    type: ClassVar[str]

    def response(self, path: str) -> JSONResponse:
        """`{"error": {"type": ..., "message": ...}}` with the error's status; below /v2 in that protocol's shape.

        Args:
            path: of the request.
        """
        headers = {503: {"Retry-After": str(RETRY_AFTER_SECONDS)}, 401: {"WWW-Authenticate": "Bearer"}}.get(self.status)
        error = str(self) if _of_protocol(path) else {"type": self.type, "message": str(self)}
        return JSONResponse({"error": error}, self.status_at(path), headers)

    @classmethod
    def status_at(cls, path: str) -> int:
        """Its status; the Open Inference Protocol has only one for all that can be wrong with a body."""
        return 400 if cls.status == 422 and _of_protocol(path) else cls.status


class MalformedJson(AnnotatorError):
    """The body is not JSON."""

    status, type = 400, "malformed_json"


class MalformedHttp(AnnotatorError):
    """A header cannot be read."""

    status, type = 400, "malformed_http"


class KeyMissing(AnnotatorError):
    """The request has no valid API key."""

    status, type = 401, "key_missing"


class NoSuchPath(AnnotatorError):
    """Nothing is served at this path."""

    status, type = 404, "no_such_path"


class WrongMethod(AnnotatorError):
    """The path is served, but not with this method."""

    status, type = 405, "wrong_method"


class TooSlow(AnnotatorError):
    """The body does not arrive."""

    status, type = 408, "too_slow"


class BodyTooLarge(AnnotatorError):
    """The body has more bytes than the limit."""

    status, type = 413, "body_too_large"


class InvalidField(AnnotatorError):
    """The body is JSON of the wrong shape or type."""

    status, type = 422, "invalid_field"


class TooLong(AnnotatorError):
    """An utterance has more tokens than the limit, and the request forbids to cut it."""

    status, type = 422, "too_long"


class HeadersTooLarge(AnnotatorError):
    """The headers have more bytes than the limit."""

    status, type = 431, "headers_too_large"


class AnnotationFailed(AnnotatorError):
    """A stage of the graph could not compute this request."""

    status, type = 500, "annotation_failed"


class Overloaded(AnnotatorError):
    """More is waiting than the limit."""

    status, type = 503, "overloaded"


class Unavailable(AnnotatorError):
    """The graph does not answer."""

    status, type = 503, "unavailable"


class DeadlineExceeded(AnnotatorError):
    """The answer was not there in time."""

    status, type = 504, "deadline_exceeded"
