"""Results as a comparison writes them, with figures that are easy to reckon with."""

from benchmarks.load import LOADS, Served
from benchmarks.processes import Usage
from benchmarks.results import Results, Round, UnderLoad

ABOUT = {
    "date": "2026-01-01",
    "processor": "a processor",
    "cores": 2,
    "memory_gb": 16.0,
    "weights": "0123456789ab",
    "revision": "abcdef0",
    "rounds": 3,
    "seconds": 5,
    "warm_up": 3,
    "loads": [load.name for load in LOADS],
    "failed": {},
}


def served(rate: float, utterances: int = 1) -> Served:
    """Everything follows from the rate."""
    return Served(p50_ms=1000 / rate, p99_ms=2000 / rate, requests_s=rate, utterances_s=rate * utterances, errors=0)


def one_round(rate: float, memory_mb: float = 800, started_s: float = 5) -> Round:
    usage = {"encoder": Usage(2, memory_mb / 2, 3.0), "ingress": Usage(1, memory_mb / 2, 1.0)}
    loads = {
        load.name: UnderLoad(served(rate / load.utterances, load.utterances), {"encoder": 4.0}, {"encoder": 2}, 5.0)
        for load in LOADS
    }
    return Round(started_s, usage, 0.004, loads)


def results(**rates: float) -> Results:
    """Of contestants by their utterances a second, three rounds each; the bare encoder makes 1,000."""
    names = {name: name.replace("_", "-") for name in rates}
    return Results(
        dict(ABOUT),
        {names[name]: f"title of {names[name]}" for name in rates},
        {names[name]: [one_round(rate * factor) for factor in (0.5, 1, 2)] for name, rate in rates.items()},
        {load.name: [served(1000 / load.utterances, load.utterances)] for load in LOADS},
    )
