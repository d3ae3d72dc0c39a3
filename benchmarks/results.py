"""What a comparison measured, as it lies in its JSON file."""

import dataclasses
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.load import Load, Served
from benchmarks.processes import Usage


@dataclass(frozen=True)
class UnderLoad:
    """One load on one running contestant.

    Attributes:
        served: what the clients saw.
        cpu_s: seconds of CPU by title of process; that of the load's own generator is not in it.
        processes: how many there were of each title at the end.
        seconds: how long it lasted.
        others_s: seconds of CPU that everything else on the machine took meanwhile.
    """

    served: Served
    cpu_s: dict[str, float] = field(default_factory=dict)
    processes: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    others_s: float = 0.0


@dataclass(frozen=True)
class Round:
    """One start of a contestant and all loads on it.

    Attributes:
        started_s: seconds from its command to its first answer.
        usage: what its processes had taken after the last load, by title.
        difference: the largest of a score from the pipeline's, before and after the loads.
        loads: by name of the load.
    """

    started_s: float
    usage: dict[str, Usage]
    difference: float
    loads: dict[str, UnderLoad]

    @property
    def memory_mb(self) -> float:
        """PSS of all processes."""
        return sum(used.memory_mb for used in self.usage.values())


@dataclass(frozen=True)
class Spread:
    """Of one figure over the rounds."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        return Spread(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        whole = all(float(value).is_integer() for value in (self.median, self.low, self.high))
        digits = 0 if whole or self.high >= 100 else 1 if self.high >= 10 else 2
        middle, low, high = (f"{value:,.{digits}f}" for value in (self.median, self.low, self.high))
        return middle if low == high else f"{middle} ({low}-{high})"


@dataclass(frozen=True)
class Results:
    """A whole comparison.

    Attributes:
        about: date, machine, options.
        titles: of the contestants, by name, in the order of the tables.
        rounds: of each contestant that ran.
        floor: of the bare encoder, a list a load.
    """

    about: dict[str, Any]
    titles: dict[str, str]
    rounds: dict[str, list[Round]]
    floor: dict[str, list[Served]]

    def served(self, contestant: str, load: Load, figure: str) -> Spread | None:
        """A figure of `Served` over the rounds; None where the contestant or the load did not run."""
        measured = [
            round_.loads[load.name].served for round_ in self.rounds.get(contestant, ()) if load.name in round_.loads
        ]
        return Spread.of([getattr(served, figure) for served in measured]) if measured else None

    def bare(self, load: Load, figure: str) -> Spread | None:
        """The same of the bare encoder."""
        measured = self.floor.get(load.name)
        return Spread.of([getattr(served, figure) for served in measured]) if measured else None

    def overall(self, contestant: str, figure: str) -> Spread | None:
        """`started_s` or `memory_mb` over the rounds."""
        rounds = self.rounds.get(contestant)
        return Spread.of([getattr(round_, figure) for round_ in rounds]) if rounds else None

    def others(self) -> Spread | None:
        """Cores that everything else on the machine took during the loads."""
        loads = [load for rounds in self.rounds.values() for one in rounds for load in one.loads.values()]
        return Spread.of([load.others_s / load.seconds for load in loads]) if loads else None

    def write(self, path: Path) -> None:
        """As JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n", "utf-8")

    @staticmethod
    def read(path: Path) -> "Results":
        """What `write` wrote."""
        raw = json.loads(path.read_text("utf-8"))
        return Results(
            raw["about"],
            raw["titles"],
            {name: [_round(one) for one in rounds] for name, rounds in raw["rounds"].items()},
            {load: [Served(**served) for served in each] for load, each in raw["floor"].items()},
        )


def _round(raw: dict[str, Any]) -> Round:
    usage = {title: Usage(**used) for title, used in raw["usage"].items()}
    loads = {name: UnderLoad(**load | {"served": Served(**load["served"])}) for name, load in raw["loads"].items()}
    return Round(raw["started_s"], usage, raw["difference"], loads)
