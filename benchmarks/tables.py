"""Results as tables in markdown."""

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.goals import Goal, goals
from benchmarks.load import LOADS, Load
from benchmarks.results import Results, Spread

FLOOR_TITLE = "the bare encoder in a loop"
NOTHING = "-"


def all_tables(results: Results, only_measured: bool = False) -> str:
    """What was measured, on what, and which aims were reached; also those not measured, unless told otherwise."""
    aims = [goal for goal in goals(results) if goal.reached is not None or not only_measured]
    parts = [_about(results)]
    dropped_out = results.about["failed"].items()
    # The floor is no contestant, and has no title among theirs.
    parts += [f"Dropped out: {results.titles.get(name, FLOOR_TITLE)}. {why}" for name, why in dropped_out]
    for load in LOADS:
        if load.name in results.about["loads"]:
            parts.append(f"### {str(load)[0].upper() + str(load)[1:]}\n\n{of_load(results, load)}")
    parts.append(f"### Start, memory, answers\n\n{overall(results)}")
    parts.append(f"### What was aimed at\n\n{of_goals(aims)}")
    return "\n\n".join(parts) + "\n"


def of_load(results: Results, load: Load) -> str:
    """A row a contestant."""
    figures = ("p50_ms", "p99_ms", "requests_s", "utterances_s", "errors")
    rows = [
        [results.titles[name], *(_cell(results.served(name, load, figure)) for figure in figures)]
        for name in results.rounds
    ]
    if results.floor:
        rows.append([FLOOR_TITLE, *(_cell(results.bare(load, figure)) for figure in figures)])
    return table(["", "p50, ms", "p99, ms", "requests/s", "utterances/s", "errors"], rows)


def overall(results: Results) -> str:
    """A row a contestant."""
    rows = []
    for name, rounds in results.rounds.items():
        cells = [_cell(results.overall(name, figure)) for figure in ("started_s", "memory_mb")]
        processes = _cell(Spread.of([sum(used.processes for used in one.usage.values()) for one in rounds]))
        difference = f"{max(one.difference for one in rounds):.4f}"
        rows.append([results.titles[name], *cells, processes, difference])
    header = ["", "s to the first answer", "memory, PSS, MB", "processes", "largest difference from the pipeline"]
    return table(header, rows)


def of_goals(each: Iterable[Goal]) -> str:
    """A row an aim."""
    words = {True: "yes", False: "**no**", None: "not measured"}
    rows = []
    for goal in each:
        measured = NOTHING if goal.measured is None else f"{goal.measured:.2f} {goal.unit}"
        limit = f"{'≥' if goal.at_least else '≤'} {goal.limit:g} {goal.unit}"
        rows.append([goal.figure, goal.placement, measured, limit, words[goal.reached]])
    return table(["figure", "placement", "measured", "aim", "reached"], rows)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In markdown."""
    return "\n".join(_lines(header, rows))


def _lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{' --- |' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _cell(spread: Spread | None) -> str:
    return NOTHING if spread is None else str(spread)


def _about(results: Results) -> str:
    about, others = results.about, results.others()
    return (
        f"{about['date']}, {about['cores']} cores of {about['processor']}, {about['memory_gb']:.0f} GB, weights "
        f"{about['weights']}, revision {about['revision']}. {about['rounds']} rounds, {about['seconds']:g} s a load "
        f"after {about['warm_up']:g} s of 32 connections that are not counted. Median over the rounds, and in "
        "parentheses the lowest and highest. What else ran on the machine took "
        f"{'-' if others is None else others} cores during the loads."
    )
