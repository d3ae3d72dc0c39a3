"""GoEmotions: the tab-separated splits with numbers of labels, or the full data with a row a rater."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from training.convert.examples import Example, find_files, one_line
from training.convert.form import Form
from training.convert.table import read_csv
from training.data import Split

# Raters who must have chosen a label; what the published splits were filtered by.
AGREEING_RATERS = 2


def read(source: Path, form: Form) -> Iterator[tuple[Split, Example]]:
    """All comments whose labels come to exactly one of ours."""
    ours = form.ours()
    for split, path in find_files(source, form):
        for text, theirs in _read_raters(path, form) if path.suffix == ".csv" else _read_numbers(path, form):
            found = {ours[label] for label in theirs}
            if len(found) == 1:
                yield split, Example(one_line(text), found.pop())


def _read_numbers(path: Path, form: Form) -> Iterator[tuple[str, list[str]]]:
    with path.open(encoding="utf-8", newline="") as stream:
        for number, row in enumerate(csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE), start=1):
            try:
                yield row[0], [form.names[int(one)] for one in row[1].split(",")]
            except (IndexError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: not a text and numbers of labels") from error


def _read_raters(path: Path, form: Form) -> Iterator[tuple[str, Iterable[str]]]:
    texts: dict[str, str] = {}
    votes: dict[str, Counter[str]] = {}
    for row in read_csv(path, "id", form.text, *form.names):
        texts[row["id"]] = row[form.text]
        votes.setdefault(row["id"], Counter()).update(name for name in form.names if row[name] == "1")
    for key, counted in votes.items():
        yield texts[key], [name for name, raters in counted.items() if raters >= AGREEING_RATERS]
