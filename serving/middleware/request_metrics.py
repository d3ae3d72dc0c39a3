"""The middleware that counts every request by route and status."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.middleware.answer_start import at_start
from serving.observability.metrics import count_request

NO_ROUTE = "none"

# As nginx logs a request whose client went away before it was answered.
CLIENT_GONE = 499


class RequestMetrics:
    """See the module.

    Args:
        app: what answers.
        paths: by endpoint, the path of its route as it is declared, so that the label has few values.
    """

    def __init__(self, app: ASGIApp, paths: Mapping[Callable[..., Any], str]) -> None:
        self._app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application around another."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = CLIENT_GONE

        def look(start: Message) -> None:
            nonlocal status
            status = start["status"]

        try:
            await self._app(scope, receive, at_start(send, look))
        finally:
            route = self._paths.get(scope["endpoint"], NO_ROUTE) if "endpoint" in scope else NO_ROUTE
            count_request(route, status, time.perf_counter() - began)
