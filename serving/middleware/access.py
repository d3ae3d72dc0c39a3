"""Who may ask: in front of every route that tells something stands whether the request carries a valid API key.

`Authorization: Bearer KEY` or `X-API-Key: KEY`.
"""

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.errors import KeyMissing
from serving.middleware.keys import Keys
from serving.observability.metrics import count_error


class Access:
    """Answers 401 to whoever has no valid key, whatever they ask for that is not public.

    Args:
        app: what is behind it.
        keys: who may ask.
        is_public: whether a path is for everybody.
    """

    def __init__(self, app: ASGIApp, keys: Keys, is_public: Callable[[str], bool]) -> None:
        self._app = app
        self._keys = keys
        self._is_public = is_public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application around another."""
        if scope["type"] == "http" and not self._is_public(scope["path"]) and not self._keys.accept(_key_of(scope)):
            count_error(KeyMissing.type)
            return await KeyMissing("a valid API key is needed").response(scope["path"])(scope, receive, send)
        return await self._app(scope, receive, send)


def _key_of(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            return bytes(value)
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return bytes(value[7:])
    return b""
