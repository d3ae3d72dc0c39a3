"""The middleware for errors that nobody expected: answered they are already; here they are logged, and end.

Serve would log them with everything that they say, which may be an utterance.
"""

import logging

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.observability.discreet import kind_and_place

logger = logging.getLogger("ray.serve")


class LastResort:
    """See the module."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application around another."""
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            logger.error("a request failed: %s", kind_and_place(error))
