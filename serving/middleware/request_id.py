"""A name for every request: the client's `X-Request-ID` where it is usable, otherwise a new one; told in every answer.

Serve writes it into the JSON log lines of the request, as `request_id`, and would take whatever a client sends. So
this stands in front of Serve, beside headers.py, and has the last word on the answer's header.
"""

import re
import uuid

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.middleware.answer_start import at_start

HEADER = b"x-request-id"
USABLE = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


class RequestId:
    """See the module."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application around another."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == HEADER]
        usable = len(given) == 1 and USABLE.fullmatch(given[0])
        name = given[0] if usable else uuid.uuid4().hex.encode()
        if not usable:
            scope["headers"] = [*(pair for pair in scope["headers"] if pair[0] != HEADER), (HEADER, name)]

        def tell(start: Message) -> None:
            MutableHeaders(scope=start)["X-Request-ID"] = name.decode()

        await self._app(scope, receive, at_start(send, tell))
