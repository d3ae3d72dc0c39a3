"""`make bench`: this service and what a user would pick instead, side by side, under the same load.

    python -m benchmarks.compare [--contestants split fused original] [--rounds 3] [--seconds 5] [--out docs/benchmarks]

Needs `wrk` (Debian's package of that name), and a package index the first time, when the peers are installed. In each
round every contestant is started, examined, loaded, examined again and stopped: the machine may be shared and noisy,
and a quiet minute should not be one contestant's alone. Load goes to 127.0.0.1 only.

Written are compare.json, compare.md and compare.png. Without --out they go to runs/benchmarks.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

from benchmarks import checkpoint, environments, floor, machine
from benchmarks.answers import Examination, WrongAnswers
from benchmarks.contestants import CONTESTANTS, ORIGINAL_STACK, OURS, Contestant
from benchmarks.load import LOADS, Load, put_load, utterances, write_bodies
from benchmarks.plot import draw
from benchmarks.processes import cpu_between, machine_cpu_s, own_cpu_s
from benchmarks.results import Results, Round, UnderLoad
from benchmarks.running import NotStarted, Running, exits_unless_started, running, see_that_none_needs_a_key
from benchmarks.tables import all_tables
from graph.model_directory import ModelDirectory
from serving.settings import PROJECT, Settings

FLOOR = "floor"
OUT = PROJECT / "runs" / "benchmarks"
RESULTS = "compare.json"
WARM_UP = Load(32, 1)
EXAMINED = 32


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write what came of it; the exit status is 1 where a contestant has dropped out."""
    options = parse(arguments)
    names = [name for name in options.contestants if name != FLOOR]
    if set(names) & set(OURS):
        with exits_unless_started():
            see_that_none_needs_a_key()
    prepare([CONTESTANTS[name] for name in names])
    failed: dict[str, str] = {}
    about = machine.about() | {
        "weights": ModelDirectory.open(Settings().model_path, Settings().tasks_path).version,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "warm_up": options.warm_up,
        "loads": [load.name for load in LOADS],
        "failed": failed,
    }
    results = Results(about, {name: CONTESTANTS[name].title for name in names}, {}, {})
    for number in range(options.rounds):
        # Each round from another one, so that nobody always runs first.
        for name in [*options.contestants[number:], *options.contestants[:number]]:
            if name not in failed:
                take_turn(name, results, options.seconds, options.warm_up)
                results.write(options.out / RESULTS)
    rounds = {name: results.rounds[name] for name in names if name in results.rounds}
    ordered = Results(about, results.titles, rounds, results.floor)
    ordered.write(options.out / RESULTS)
    (options.out / "compare.md").write_text(all_tables(ordered), "utf-8")
    draw(ordered, options.out / "compare.png")
    print(all_tables(ordered, only_measured=True))
    return 1 if failed else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    everyone = [*CONTESTANTS, FLOOR]
    parser = argparse.ArgumentParser(description="This service and others, side by side.")
    parser.add_argument("--contestants", nargs="+", choices=everyone, default=everyone, help="who takes part (all)")
    parser.add_argument("--rounds", type=int, default=3, help="starts of each contestant (%(default)s)")
    parser.add_argument("--seconds", type=float, default=5, help="length of each load (%(default)s)")
    parser.add_argument("--warm-up", type=float, default=3, help="length of the load that is not counted (%(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for what is written (%(default)s)")
    return parser.parse_args(arguments)


def prepare(contestants: Iterable[Contestant]) -> None:
    """Install and convert what they need."""
    for environment in dict.fromkeys(one.environment for one in contestants if one.environment):
        environments.make(environment)
    if any(one.name == ORIGINAL_STACK for one in contestants):
        checkpoint.prepare()


def take_turn(name: str, results: Results, seconds: float, warm_up: float) -> None:
    """One round of one contestant; one that cannot be measured drops out, and of the others there are figures."""
    try:
        if name == FLOOR:
            measure_floor(results, seconds)
        else:
            results.rounds.setdefault(name, []).append(measure(CONTESTANTS[name], seconds, warm_up))
    except (NotStarted, WrongAnswers, OSError, HTTPException) as error:
        results.about["failed"][name] = str(error)
        if name == FLOOR:
            results.floor.clear()
        results.rounds.pop(name, None)
        print(f"{name} drops out: {error}", flush=True)
    else:
        tell(results, name)


def measure(contestant: Contestant, seconds: float, warm_up: float) -> Round:
    """One start and all loads."""
    texts = utterances()
    examination = Examination(contestant, texts[:EXAMINED])
    with running(contestant) as service, tempfile.TemporaryDirectory() as folder:
        bodies = {size: Path(folder) / f"{size}.jsonl" for size in {load.utterances for load in LOADS}}
        for size, path in bodies.items():
            write_bodies(path, texts, size, contestant.dialect.body)
        before = examination.hold()
        put_load(contestant.url, bodies[WARM_UP.utterances], WARM_UP, warm_up)
        loads: dict[str, UnderLoad] = {}
        for load in LOADS:
            # What the load before has left behind is worked off when this is answered.
            examination.ask(texts[:1])
            loads[load.name] = under_load(service, bodies[load.utterances], load, seconds)
        usage = service.usage()
        return Round(service.started_s, usage, max(before, examination.hold()), loads)


def under_load(service: Running, bodies: Path, load: Load, seconds: float) -> UnderLoad:
    """One load, and the CPU that the contestant took for it."""
    before, machine_s, own_s, began = service.usage(), machine_cpu_s(), own_cpu_s(), time.monotonic()
    served = put_load(service.contestant.url, bodies, load, seconds)
    lasted, own_s, machine_s = time.monotonic() - began, own_cpu_s() - own_s, machine_cpu_s() - machine_s
    after = service.usage()
    cpu = cpu_between(before, after)
    processes = {title: used.processes for title, used in after.items()}
    # Its processes were looked at a moment longer than the machine.
    return UnderLoad(served, cpu, processes, lasted, max(0.0, machine_s - own_s - sum(cpu.values())))


def measure_floor(results: Results, seconds: float) -> None:
    """All loads on the bare encoder."""
    for load in LOADS:
        results.floor.setdefault(load.name, []).append(floor.measure(load, seconds))


def tell(results: Results, name: str) -> None:
    """A line of progress."""
    rates: dict[str, Any] = {
        load.name: results.bare(load, "requests_s") if name == FLOOR else results.served(name, load, "requests_s")
        for load in LOADS
    }
    shown = ", ".join(f"{load} {rate}" for load, rate in rates.items())
    print(f"{name}, requests/s: {shown}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
