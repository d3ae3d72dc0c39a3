"""Annotations and scores as tables for a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from annotator.results import best
from graph.merge import Annotation

BAR_WIDTH = 10
GAP = 2
# Characters that the runners-up need to be worth showing.
LEAST_WIDTH = 12
# Runners-up that are shown beside the best label, and the least score that makes one worth a look.
RUNNERS_UP = 2
LEAST_SCORE = 0.05


def annotation_table(text: str, annotation: Annotation, all_scores: bool, width: int) -> RenderableType:
    """One text: a line a task, or a line a label.

    Args:
        text: what was annotated.
        annotation: its scores.
        all_scores: whether to show every label.
        width: characters a line may have; where they are few, the runners-up are cut.
    """
    shown = [label for scores in annotation.values() for label in (scores if all_scores else [best(scores)])]
    columns = {"task": list(annotation), "label": shown, "score": ["1.00"], "": [BAR_WIDTH * " "]}
    widths = {name: max(map(len, [name, *cells])) for name, cells in columns.items()}
    left = width - sum(widths.values()) - GAP * len(widths)
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, GAP, 0, 0))
    for name, needed in widths.items():
        table.add_column(name, no_wrap=True, min_width=needed)
    runners_up = not all_scores and left >= LEAST_WIDTH
    if runners_up:
        table.add_column("then", style="dim", no_wrap=True, overflow="ellipsis", width=left)
    for task, scores in annotation.items():
        ranked = sorted(scores.items(), key=lambda item: -item[1])
        for place, (label, score) in enumerate(ranked if all_scores else ranked[:1]):
            line: list[RenderableType] = [
                Text(task if place == 0 else "", "cyan"),
                Text(label, "bold" if place == 0 else ""),
                f"{score:.2f}",
                ProgressBar(total=1, completed=score, width=BAR_WIDTH, complete_style="green", finished_style="green"),
            ]
            others = [f"{name} {p:.2f}" for name, p in ranked[1 : 1 + RUNNERS_UP] if p >= LEAST_SCORE]
            table.add_row(*line, *([Text(", ".join(others))] if runners_up else []))
    return Group(Text(text, "bold"), table, "")


def score_table(title: str, scores: Mapping[str, Mapping[str, Any]], by_origin: bool) -> Table:
    """Accuracy and macro-F1 in percent, a line a task, and a line an origin if wished.

    Args:
        title: what was scored.
        scores: task to "all" or origin to `training.evaluate.Score`.
        by_origin: whether to show the origins.
    """
    table = Table(title=title, title_justify="left", box=None, header_style="dim", pad_edge=False)
    table.add_column("task", no_wrap=True)
    for column in ("rows", "accuracy", "macro-F1"):
        table.add_column(column, justify="right")
    for task, parts in scores.items():
        for part, score in parts.items():
            if part == "all" or by_origin:
                name = Text(task, "cyan") if part == "all" else Text(f"  {part}", "dim")
                table.add_row(name, f"{score.rows:,}", f"{100 * score.accuracy:.1f}", f"{100 * score.macro_f1:.1f}")
    return table
