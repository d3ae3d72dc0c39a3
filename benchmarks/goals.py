"""What was aimed at, and whether it was reached: computed from the results, so that nobody judges his own figures."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.contestants import ORIGINAL_STACK, SAME_FILE
from benchmarks.load import Load
from benchmarks.results import Results, Spread

ONE, SOME, MANY, BULK = Load(1, 1), Load(32, 1), Load(128, 1), Load(4, 32)


@dataclass(frozen=True)
class Goal:
    """One aim of one placement.

    Attributes:
        figure: what it is about.
        placement: whose.
        measured: the figure, or None where what it takes did not run.
        limit: what was aimed at.
        at_least: whether more is better.
        unit: behind the numbers.
    """

    figure: str
    placement: str
    measured: float | None
    limit: float
    at_least: bool
    unit: str

    @property
    def reached(self) -> bool | None:
        """None where it was not measured."""
        if self.measured is None:
            return None
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


def goals(results: Results) -> Iterator[Goal]:
    """All of them, in the order of the table."""

    def figure(contestant: str | None, load: Load, name: str) -> float | None:
        return _median(None if contestant is None else results.served(contestant, load, name))

    def best(load: Load, name: str) -> str | None:
        """The peer with the same file that is best at a load."""
        ran = {peer: value for peer in SAME_FILE if (value := figure(peer, load, name)) is not None}
        if not ran:
            return None
        return (min if name == "p50_ms" else max)(ran, key=ran.__getitem__)

    for placement, limit in (("split", 10.0), ("fused", 12.0)):
        ratio = _ratio(figure(placement, MANY, "requests_s"), figure(ORIGINAL_STACK, MANY, "requests_s"))
        yield Goal("requests/s at 128 connections, against the original", placement, ratio, limit, True, "times")
    for placement, limit in (("split", 1.0), ("fused", 0.3)):
        ratio = _ratio(figure(placement, ONE, "p50_ms"), figure(ORIGINAL_STACK, ONE, "p50_ms"))
        yield Goal("p50 at 1 connection, against the original", placement, ratio, limit, False, "times")
    for load in (SOME, MANY):
        peer = best(load, "requests_s")
        name = f"requests/s at {load.connections} connections, {against(peer)}"
        for placement, limit in (("split", 1.0), ("fused", 1.3)):
            ratio = _ratio(figure(placement, load, "requests_s"), figure(peer, load, "requests_s"))
            yield Goal(name, placement, ratio, limit, True, "times")
    peer = best(ONE, "p50_ms")
    ratio = _ratio(figure("fused", ONE, "p50_ms"), figure(peer, ONE, "p50_ms"))
    yield Goal(f"p50 at 1 connection, {against(peer)}", "fused", ratio, 1.0, False, "times")
    bare = _median(results.bare(BULK, "utterances_s"))
    for placement, limit in (("split", 60.0), ("fused", 75.0)):
        share = _ratio(figure(placement, BULK, "utterances_s"), bare, scale=100)
        yield Goal("utterances/s in bulk, against the bare encoder on all cores", placement, share, limit, True, "%")
    for placement, limit in (("split", 2.0), ("packed", 1.5), ("fused", 1.2)):
        gigabytes = _ratio(_median(results.overall(placement, "memory_mb")), 1000)
        yield Goal("memory, PSS of all processes", placement, gigabytes, limit, False, "GB")
    for placement, limit in (("split", 15.0), ("fused", 10.0)):
        started = _median(results.overall(placement, "started_s"))
        yield Goal("make serve to the first answer", placement, started, limit, False, "s")


def against(peer: str | None) -> str:
    """Who is the measure, if anybody ran."""
    return "against the best peer with the same file" + (f" ({peer})" if peer else "")


def _median(spread: Spread | None) -> float | None:
    return None if spread is None else spread.median


def _ratio(one: float | None, other: float | None, scale: float = 1) -> float | None:
    return None if one is None or not other else scale * one / other
