"""Samples of call stacks as a picture: what calls above what is called, as wide as its share of the samples."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

mpl.use("Agg")

DEPTH = 34
COLOURS = {"serving/": "#1668b8", "graph/": "#0b8a6b", "uvicorn": "#d9822b", "starlette": "#e0a83a", "ray/": "#9aa5b1"}
OTHER = "#cfd6dd"
LEAST_SHARE = 0.003
LETTERS = 190
"""So many letters would fill the width."""


@dataclass
class Samples:
    """A tree of calls.

    Attributes:
        total: samples in this function and whatever it called.
        called: by name.
    """

    total: int = 0
    called: dict[str, "Samples"] = field(default_factory=dict)


def read_samples(text: str) -> Samples:
    """What py-spy writes as `raw`: on each line a stack, outermost first, separated by semicolons, and a number."""
    root = Samples()
    for line in text.splitlines():
        stack, _, number = line.rpartition(" ")
        node = root
        node.total += int(number)
        for frame in stack.split(";"):
            # The number of the line would part what is one function.
            node = node.called.setdefault(frame.rpartition(":")[0] + ")" if ":" in frame else frame, Samples())
            node.total += int(number)
    return root


def draw(found: Mapping[str, Samples], title: str, path: Path) -> None:
    """All processes side by side, each as wide as its part of all samples."""
    total = sum(samples.total for samples in found.values())
    picture = Figure(figsize=(16, 9), layout="constrained")
    axis = picture.add_subplot()
    left = 0.0
    for name, samples in found.items():
        share = samples.total / max(total, 1)
        _box(axis, left, 0, share, f"{name}, {100 * share:.0f} %", "#3c4650")
        _draw_called(axis, samples, left, 1, total)
        left += share
    axis.set_xlim(0, 1)
    axis.set_ylim(DEPTH, 0)
    axis.axis("off")
    axis.set_title(f"{title}: {total:,} samples of threads on a core", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(path, dpi=100)


def _draw_called(axis: Axes, samples: Samples, left: float, depth: int, total: int) -> None:
    for name, called in sorted(samples.called.items(), key=lambda item: -item[1].total):
        share = called.total / total
        if share >= LEAST_SHARE and depth < DEPTH:
            _box(axis, left, depth, share, name, _colour(name))
            _draw_called(axis, called, left, depth + 1, total)
        left += share


def _colour(name: str) -> str:
    return next((colour for part, colour in COLOURS.items() if part in name), OTHER)


def _box(axis: Axes, left: float, depth: int, width: float, text: str, colour: str) -> None:
    axis.barh(depth + 0.5, width, height=0.94, left=left, color=colour, edgecolor="white", linewidth=0.4)
    letters = int(LETTERS * width) - 1
    if letters > 4:
        ink = "white" if colour in ("#3c4650", COLOURS["serving/"], COLOURS["graph/"]) else "black"
        axis.text(left + width / 2, depth + 0.5, text[:letters], ha="center", va="center", fontsize=6, color=ink)
