"""Bounded load on the service of this machine, and what came of it."""

import asyncio
import json
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

PORT = 8000

Done = TypeVar("Done")


@dataclass(frozen=True)
class Reply:
    """One request and what became of it.

    Attributes:
        sent: seconds on the monotonic clock.
        seconds: until the answer was complete, or the connection was lost.
        status: 0 for none.
        head: the headers, lower case.
        body: as it came.
        number: which of the bodies was sent.
    """

    sent: float
    seconds: float
    status: int
    head: str
    body: bytes
    number: int


@dataclass
class Record:
    """All replies of a load."""

    replies: list[Reply] = field(default_factory=list)

    def statuses(self) -> Counter[int]:
        return Counter(reply.status for reply in self.replies)

    def seconds(self, *statuses: int) -> list[float]:
        """Sorted latencies of the replies with one of these statuses."""
        return sorted(reply.seconds for reply in self.replies if reply.status in statuses)


def percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def post(sentences: Sequence[str]) -> bytes:
    """A request to /model."""
    body = json.dumps({"sentences": list(sentences)}).encode()
    return b"POST /model HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def put_load(requests: Sequence[bytes], connections: int, seconds: float, pause: float = 0.0) -> Record:
    """Each connection sends one request after the other, for so long; `pause` is what it waits between two."""
    record = Record()
    end = time.monotonic() + seconds
    await asyncio.gather(*(_connection(requests, i, lambda: end, pause, record) for i in range(connections)))
    return record


async def put_load_while(work: Callable[[], Done], requests: Sequence[bytes], connections: int) -> tuple[Done, Record]:
    """The same load until `work`, in a thread, is done; what it returns, and the load."""
    record = Record()
    end = math.inf
    load = asyncio.gather(*(_connection(requests, i, lambda: end, 0.0, record) for i in range(connections)))
    try:
        done = await asyncio.to_thread(work)
    finally:
        end = 0.0
        await load
    return done, record


async def send_once(requests: Sequence[bytes], numbers: Sequence[int]) -> Record:
    """Sends these of the requests at the same time, each on a connection of its own."""
    record = Record()
    await asyncio.gather(*(_connection([requests[i]], -1, None, 0.0, record) for i in numbers))
    return record


async def _connection(
    requests: Sequence[bytes], first: int, end: Callable[[], float] | None, pause: float, record: Record
) -> None:
    number, streams = first, None
    while True:
        sent = time.monotonic()
        if end is not None and sent > end():
            break
        number = (number + 1) % len(requests)
        status, head, body = 0, "", b""
        try:
            if streams is None:
                streams = await asyncio.open_connection("127.0.0.1", PORT)
            streams[1].write(requests[number])
            status, head, body = await asyncio.wait_for(_read(streams[0]), 60)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass
        record.replies.append(Reply(sent, time.monotonic() - sent, status, head, body, number))
        if streams is not None and (status == 0 or "connection: close" in head or "content-length: " not in head):
            streams[1].close()
            streams = None
        if end is None:
            break
        await asyncio.sleep(pause if status else 0.1)
    if streams is not None:
        streams[1].close()


async def _read(reader: asyncio.StreamReader) -> tuple[int, str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = re.search(r"content-length: (\d+)", head)
    # None of our answers is without a length; what is, is seen by its empty body.
    return int(head.split(" ", 2)[1]), head, await reader.readexactly(int(length[1])) if length else b""
