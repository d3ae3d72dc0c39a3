"""Results as one picture."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.contestants import OURS
from benchmarks.load import Load
from benchmarks.results import Results, Spread
from benchmarks.tables import FLOOR_TITLE

mpl.use("Agg")

OUR_COLOUR, PEER_COLOUR, FLOOR_COLOUR = "#1668b8", "#9aa5b1", "#d9b44a"


def draw(results: Results, path: Path) -> None:
    """A panel a figure; bars are medians, whiskers the lowest and highest round."""
    panels = (
        ("p50 at 1 connection, ms (less is better)", Load(1, 1), "p50_ms"),
        ("requests/s at 32 connections", Load(32, 1), "requests_s"),
        ("requests/s at 128 connections", Load(128, 1), "requests_s"),
        ("utterances/s, 4 connections of 32", Load(4, 32), "utterances_s"),
    )
    picture = Figure(figsize=(13, 2.5 + 0.9 * len(results.rounds)), layout="constrained")
    axes = picture.subplots(3, 2).ravel()
    for axis, (title, load, figure) in zip(axes, panels, strict=False):
        spreads = {name: results.served(name, load, figure) for name in results.rounds}
        _bars(axis, title, results, spreads, results.bare(load, figure))
    _bars(axes[4], "memory of all processes, PSS, MB (less is better)", results, _overall(results, "memory_mb"), None)
    _bars(axes[5], "seconds to the first answer (less is better)", results, _overall(results, "started_s"), None)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(path, dpi=110)


def _overall(results: Results, figure: str) -> dict[str, Spread | None]:
    return {name: results.overall(name, figure) for name in results.rounds}


def _bars(axis: Axes, title: str, results: Results, spreads: dict[str, Spread | None], floor: Spread | None) -> None:
    bars = [
        (results.titles[name], spread, OUR_COLOUR if name in OURS else PEER_COLOUR)
        for name, spread in spreads.items()
        if spread is not None
    ]
    if floor is not None:
        bars.append((FLOOR_TITLE, floor, FLOOR_COLOUR))
    medians = [spread.median for _, spread, _ in bars]
    whiskers = [
        [spread.median - spread.low for _, spread, _ in bars],
        [spread.high - spread.median for _, spread, _ in bars],
    ]
    places = range(len(bars))
    axis.barh(places, medians, xerr=whiskers, color=[colour for *_, colour in bars], error_kw={"elinewidth": 1})
    axis.set_yticks(places, [label for label, *_ in bars], fontsize=8)
    for place, (_, spread, _) in zip(places, bars, strict=True):
        axis.annotate(
            f"{spread.median:,.1f}" if spread.median < 100 else f"{spread.median:,.0f}",
            (spread.high, place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.set_title(title, fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)
