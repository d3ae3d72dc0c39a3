"""What a middleware does at the moment when an answer begins: its status is known, its headers can still be changed."""

from collections.abc import Callable

from starlette.types import Message, Send


def at_start(send: Send, act: Callable[[Message], None]) -> Send:
    """A `send` that hands the `http.response.start` to `act` before it goes out."""

    async def send_after_act(message: Message) -> None:
        if message["type"] == "http.response.start":
            act(message)
        await send(message)

    return send_after_act
