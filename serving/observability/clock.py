"""Where the time of a request went, stage by stage."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from starlette.requests import Request

Seconds = dict[str, float]
"""By stage: how long it took.

    check           whether a request that may not be cut is too long
    queue           in the ingress, until the batch leaves
    tokenize        computing
    encode-wait     in the encoder's replica, until the run before is done
    encode          computing
    heads           computing, the slowest head
    merge           arrays to JSON
    <stage>-hop     a call to another process, less what is computed and waited for there

Utterances of a long request travel in several batches; the times of these are added.
"""


class Clock:
    """Adds up the seconds of one request."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self.seconds: Seconds = {}

    def add(self, *parts: Mapping[str, float]) -> None:
        """Take over what was measured elsewhere."""
        for part in parts:
            for stage, duration in part.items():
                self.seconds[stage] = self.seconds.get(stage, 0.0) + duration

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what is done inside."""
        began = time.perf_counter()
        yield
        self.add({name: time.perf_counter() - began})

    @property
    def total(self) -> float:
        """Seconds since the request came."""
        return time.perf_counter() - self._began

    def server_timing(self) -> str:
        """The stages in milliseconds, as W3C's Server Timing writes them."""
        stages = {**self.seconds, "total": self.total}
        return ", ".join(f"{stage};dur={1000 * duration:.3f}" for stage, duration in stages.items())


def clock_of(request: Request) -> Clock:
    """The clock of a request; serving/middleware/clock_header.py has started it."""
    clock: Clock = request.state.clock
    return clock
