"""What the client raises: one exception a status, and three for answers that never came.

CallError
├── NoConnection            nothing listens at the address, or the connection broke
├── DeadlineExceeded        no answer within the client's own deadline
├── UnexpectedAnswer        an answer that is not one of this service
└── Refused                 any error status; has .status, .type and .retry_after
    ├── MalformedRequest    400
    ├── Unauthorized        401
    ├── NotFound            404
    ├── WrongMethod         405
    ├── TooSlow             408
    ├── TooLarge            413
    ├── InvalidField        422
    ├── RateLimited         429  waited for and tried again, as Retry-After says
    ├── HeadersTooLarge     431
    ├── ServiceFailed       500
    ├── Unavailable         503  waited for and tried again, as Retry-After says; also 502 and 504 of type unavailable
    └── ServiceTimedOut     504
"""

from collections.abc import Mapping
from typing import ClassVar


class CallError(Exception):
    """Base of all errors of a call; the message is one line that a person can act on."""

    passing: ClassVar[bool] = False
    """Whether the same call may succeed in a moment."""
    retry_after: float | None = None
    """Seconds that the service asks to wait, if it does."""


class NoConnection(CallError):
    """Nothing listens at the address, or the connection broke.

    Attributes:
        url: the address of the service.
    """

    passing = True

    def __init__(self, url: str, why: object) -> None:
        super().__init__(f"no service answers at {url}: {why}")
        self.url = url


class DeadlineExceeded(CallError):
    """No answer within the client's own deadline."""


class UnexpectedAnswer(CallError):
    """An answer that is not one of this service."""


class Refused(CallError):
    """An error status.

    Attributes:
        status: HTTP status.
        type: the service's word for the error; empty when something else than the service answered.
    """

    def __init__(self, status: int, error_type: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.type = error_type
        self.retry_after = retry_after


class MalformedRequest(Refused):
    """400."""


class Unauthorized(Refused):
    """401: the service wants a key, and not this one."""


class NotFound(Refused):
    """404: nothing is served at this path."""


class WrongMethod(Refused):
    """405: this path is asked otherwise."""


class TooSlow(Refused):
    """408: the request did not arrive in time."""


class TooLarge(Refused):
    """413: send fewer or shorter texts at once."""


class InvalidField(Refused):
    """422: the message names the field."""


class RateLimited(Refused):
    """429."""

    passing = True


class HeadersTooLarge(Refused):
    """431."""


class ServiceFailed(Refused):
    """500."""


class Unavailable(Refused):
    """503: overloaded, starting or stopping; 502 or 504 where what stands in front lost the replica that was asked."""

    passing = True
    TYPE: ClassVar[str] = "unavailable"
    """The service's word for it, whatever the status."""


class ServiceTimedOut(Refused):
    """504: the service gave this request up."""


BY_STATUS: Mapping[int, type[Refused]] = {
    400: MalformedRequest,
    401: Unauthorized,
    404: NotFound,
    405: WrongMethod,
    408: TooSlow,
    413: TooLarge,
    422: InvalidField,
    429: RateLimited,
    431: HeadersTooLarge,
    500: ServiceFailed,
    503: Unavailable,
    504: ServiceTimedOut,
}
