"""The middleware of the stage clock: started with every request, told in the answer's `Server-Timing` and in traces."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.middleware.answer_start import at_start
from serving.observability.clock import Clock
from serving.observability.tracing import add_request


class ClockHeader:
    """See the module.

    Args:
        app: what answers; finds the clock with `clock_of`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with the clock in the request's state."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        clock = Clock()
        scope.setdefault("state", {})["clock"] = clock

        def tell(start: Message) -> None:
            MutableHeaders(scope=start)["Server-Timing"] = clock.server_timing()
            add_request(scope, clock)

        await self._app(scope, receive, at_start(send, tell))
