"""How much it takes to serve so many requests a second within so many milliseconds, reckoned from what was measured.

    python -m benchmarks.capacity --rps 5000 --p99-ms 50 [--placement packed] [--figures docs/benchmarks/compare.json]

Of the measured loads the one counts that served most while 99 % of its requests took no longer than asked. There, the
busiest deployment's replicas were as busy as replicas may be. So a deployment needs so many replicas that none of its
own is busier than that; cores grow with the requests. The load's own generator ran on the measured cores as well, and
an edge proxy or a network adds its own milliseconds: neither is taken off or added. The answer also tells how
far the same reckoning is off for the CPU that the other measured loads took.
"""

import argparse
import math
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestants import OURS
from benchmarks.load import LOADS, Load
from benchmarks.results import Results
from serving.settings import PROJECT

FIGURES = PROJECT / "docs" / "benchmarks" / "compare.json"
REPLICA = "ray::ServeReplica:annotator:"


class TooFast(Exception):
    """No measured load was that fast; the message is one line."""


@dataclass(frozen=True)
class Deployment:
    """What the replicas of one deployment took under a load.

    Attributes:
        replicas: how many there were.
        cpu_ms: milliseconds of CPU a request, of all of them together.
        memory_mb: of one of them.
    """

    replicas: float
    cpu_ms: float
    memory_mb: float

    def busy(self, requests_s: float) -> float:
        """Cores that one replica fills at this many requests a second."""
        return requests_s * self.cpu_ms / 1000 / self.replicas


@dataclass(frozen=True)
class Point:
    """One measured load on one placement.

    Attributes:
        load: which.
        requests_s: served.
        p99_ms: in which 99 % were answered.
        cores: of the machine.
        busy_cores: what all processes of the service used of them.
        deployments: by name.
        rest_mb: memory of everything that is no replica; a node has it once.
    """

    load: Load
    requests_s: float
    p99_ms: float
    cores: int
    busy_cores: float
    deployments: dict[str, Deployment]
    rest_mb: float

    def cores_for(self, requests_s: float) -> float:
        """In proportion to what was served here."""
        return self.cores * requests_s / self.requests_s

    def busy_for(self, requests_s: float) -> float:
        """The same of the cores that were busy."""
        return self.busy_cores * requests_s / self.requests_s

    def replicas_for(self, requests_s: float) -> dict[str, int]:
        """So many that none is busier than the busiest was here."""
        most = max(deployment.busy(self.requests_s) for deployment in self.deployments.values())
        return {
            name: max(1, math.ceil(requests_s * deployment.cpu_ms / 1000 / most))
            for name, deployment in self.deployments.items()
        }


def points(results: Results, placement: str) -> list[Point]:
    """All measured loads of one utterance a request.

    Raises:
        KeyError: the placement was not measured.
    """
    rounds = results.rounds[placement]
    found = []
    for load in LOADS:
        if load.utterances > 1 or any(load.name not in one.loads for one in rounds):
            continue
        measured = [one.loads[load.name] for one in rounds]
        requests = sum(one.served.requests_s * one.seconds for one in measured)
        names = sorted({title for one in measured for title in one.cpu_s if title.startswith(REPLICA)})
        deployments = {
            title.removeprefix(REPLICA): Deployment(
                sum(one.processes.get(title, 0) for one in measured) / len(measured),
                1000 * sum(one.cpu_s.get(title, 0.0) for one in measured) / requests,
                sum(one.usage[title].memory_mb for one in rounds) / sum(one.usage[title].processes for one in rounds),
            )
            for title in names
        }
        rest = [used.memory_mb for one in rounds for title, used in one.usage.items() if not title.startswith(REPLICA)]
        point = Point(
            load,
            requests_s=statistics.median(one.served.requests_s for one in measured),
            p99_ms=statistics.median(one.served.p99_ms for one in measured),
            cores=results.about["cores"],
            busy_cores=sum(sum(one.cpu_s.values()) for one in measured) / sum(one.seconds for one in measured),
            deployments=deployments,
            rest_mb=sum(rest) / len(rounds),
        )
        found.append(point)
    return found


def choose(measured: Iterable[Point], p99_ms: float) -> Point:
    """The one that served most within the time.

    Raises:
        TooFast: none did.
    """
    each = list(measured)
    fast = [point for point in each if point.p99_ms <= p99_ms]
    if not fast:
        least = min(point.p99_ms for point in each)
        raise TooFast(f"no measured load was within {p99_ms:g} ms: the fastest had a p99 of {least:.1f} ms")
    return max(fast, key=lambda point: point.requests_s)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the answer, and how far the reckoning is off where it can be held against a measured point."""
    parser = argparse.ArgumentParser(description="Replicas, cores and memory for a load.")
    parser.add_argument("--rps", type=float, required=True, help="requests a second, one utterance each")
    parser.add_argument("--p99-ms", type=float, required=True, help="99 %% of the requests take no longer")
    parser.add_argument("--placement", choices=OURS, default="packed", help="(%(default)s)")
    parser.add_argument("--node-cores", type=int, default=4, help="cores of a node (%(default)s)")
    parser.add_argument("--figures", type=Path, default=FIGURES, help="what make bench wrote (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        measured = points(Results.read(options.figures), options.placement)
        point = choose(measured, options.p99_ms)
    except (OSError, KeyError, ValueError) as error:
        sys.exit(f"no figures of {options.placement} in {options.figures}: {error}")
    except TooFast as error:
        sys.exit(str(error))
    print("\n".join(answer(point, measured, options.rps, options.node_cores)))


def answer(point: Point, measured: Sequence[Point], requests_s: float, node_cores: int) -> list[str]:
    """Lines."""
    cores = point.cores_for(requests_s)
    nodes = math.ceil(cores / node_cores)
    replicas = point.replicas_for(requests_s)
    memory = nodes * point.rest_mb + sum(point.deployments[name].memory_mb * n for name, n in replicas.items())
    lines = [
        f"measured: {point.load}, {point.requests_s:,.0f} requests/s with a p99 of {point.p99_ms:.1f} ms on "
        f"{point.cores} cores"
    ]
    for other in measured:
        if other is not point:
            reckoned = point.busy_for(other.requests_s)
            lines.append(
                f"held against {other.load}: {reckoned:.2f} busy cores reckoned for {other.requests_s:,.0f} "
                f"requests/s, {other.busy_cores:.2f} measured ({100 * (reckoned / other.busy_cores - 1):+.0f} %)"
            )
    lines += [f"{name}: {n} replicas" for name, n in replicas.items()]
    lines.append(f"in all: {cores:.0f} cores, {nodes} nodes of {node_cores} cores, {memory / 1000:.1f} GB")
    return lines


if __name__ == "__main__":
    main()
