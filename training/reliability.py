"""Confidence against truth: bins, their expected calibration error, and a diagram."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

BINS = 15


@dataclass(frozen=True)
class Reliability:
    """Answers sorted into bins of equal width by confidence, from 0 to 1.

    Attributes:
        share: `(BINS,)`, share of all answers.
        confidence: `(BINS,)`, mean confidence of the bin's answers; 0 in an empty bin.
        accuracy: `(BINS,)`, share of them that are right; 0 in an empty bin.
    """

    share: NDArray[np.float64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @staticmethod
    def of(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> "Reliability":
        """Sort n answers into bins; a confidence on an edge belongs to the bin below."""
        bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
        counts, sure, hits = (np.bincount(bins, weights, BINS) for weights in (None, confidence, right))
        filled = np.maximum(counts, 1)
        return Reliability(counts / len(confidence), sure / filled, hits / filled)

    @property
    def error(self) -> float:
        """Expected calibration error, 0 to 1."""
        return float(self.share @ np.abs(self.confidence - self.accuracy))


def draw(title: str, before: Reliability, after: Reliability, path: Path) -> None:
    """Write a PNG: two diagrams side by side, without and with the temperature."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    figure.suptitle(title)
    axes: list[Axes] = list(figure.subplots(1, 2, sharey=True))
    for plot, name, bins in zip(axes, ("temperature 1", "fitted temperature"), (before, after), strict=True):
        _draw(plot, name, bins)
    axes[0].set_ylabel("share of right answers; grey: share of answers")
    # Without the version of the library the file is the same after an upgrade that draws the same.
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _draw(plot: Axes, name: str, bins: Reliability) -> None:
    edges = np.arange(BINS) / BINS
    filled = bins.share > 0
    plot.bar(edges, bins.share, 1 / BINS, align="edge", color="lightgrey")
    plot.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle="dashed")
    plot.plot(bins.confidence[filled], bins.accuracy[filled], marker="o", markersize=4)
    plot.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="confidence", title=f"{name}: error {bins.error:.3f}")
