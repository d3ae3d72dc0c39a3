"""The deadline of both clients against a server that always sends a little more, and so never lets a read time out."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from annotator.client import AsyncClient, Client, Patience
from annotator.errors import DeadlineExceeded

DEADLINE = Patience(deadline_s=0.5)
DRIP_SECONDS = 0.05


def ready_blocking(url: str) -> None:
    with Client(url, patience=DEADLINE) as client:
        client.check_ready()


def ready_async(url: str) -> None:
    async def ask() -> None:
        async with AsyncClient(url, patience=DEADLINE) as client:
            await client.check_ready()

    asyncio.run(ask())


@pytest.fixture(params=[b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def dripping(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of a server whose answer, its headers or its body, comes byte by byte and does not end."""
    over = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                connection.sendall(request.param)
                while not over.wait(DRIP_SECONDS):
                    connection.sendall(b"1")
            except OSError:  # who asked has gone
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        thread.join()


@pytest.mark.parametrize("ready", [ready_blocking, ready_async])
def test_an_answer_that_drips_does_not_outlast_the_deadline(dripping: str, ready: Callable[[str], None]) -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"within 0\.5 s"):
        ready(dripping)
    assert 0.4 < time.monotonic() - began < 5
