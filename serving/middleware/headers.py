"""What a client may say in headers: checked and cut down before Serve reads them.

Serve takes this module's `middlewares` from RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH, which must be in the environment
of whatever starts the cluster. It runs in front of Serve's own handling of a request, as nothing inside the
application could.
"""

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.errors import HeadersTooLarge, MalformedHttp
from serving.middleware.request_id import RequestId

# With these a client could change Serve's own deadline, or keep a request alive that it has itself given up.
RESERVED = frozenset({b"x-request-timeout-seconds", b"x-request-disconnect-disabled"})

HEADER_BYTES = 16_384
"""Names and values together; HAProxy, where it is in front, has a buffer of as much for the whole head of a request."""


class Headers:
    """Drops reserved headers; refuses what is too large, or is text in no encoding that Serve can read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application around another."""
        if scope["type"] == "http":
            headers = scope["headers"]
            if sum(len(name) + len(value) for name, value in headers) > HEADER_BYTES:
                error = HeadersTooLarge(f"the headers may have at most {HEADER_BYTES} bytes")
                return await error.response(scope["path"])(scope, receive, send)
            if not all(_is_text(name) and _is_text(value) for name, value in headers):
                return await MalformedHttp("a header is not UTF-8").response(scope["path"])(scope, receive, send)
            scope["headers"] = [(name, value) for name, value in headers if name not in RESERVED]
        return await self._app(scope, receive, send)


def _is_text(value: bytes) -> bool:
    if value.isascii():
        return True
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def middlewares() -> list[Middleware]:
    """What Serve wraps its HTTP servers in, the last one outermost."""
    return [Middleware(Headers), Middleware(RequestId)]
