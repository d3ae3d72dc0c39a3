"""Jigsaw's comments: a column a class, of yes and no (2018) or of shares of raters (Unintended Bias, 2019)."""

from collections.abc import Iterator
from pathlib import Path

from training.convert.examples import Example, find_files, one_line
from training.convert.form import Form
from training.convert.table import read_csv
from training.data import Split


def read(source: Path, form: Form) -> Iterator[tuple[Split, Example]]:
    """All comments, with a mark a class; the single label is the first that holds, in the order of `labels`.

    Raises:
        ValueError: a column is missing, or a share is no number.
    """
    columns = form.ours()
    for split, path in find_files(source, form):
        for number, row in enumerate(read_csv(path, form.text, *columns), start=1):
            try:
                marks = {ours: int(float(row[theirs] or 0) >= form.threshold) for theirs, ours in columns.items()}
            except ValueError as error:
                raise ValueError(f"{path}, row {number}: a share of raters is no number") from error
            label = next((ours for ours in form.labels if marks[ours]), form.otherwise)
            yield split, Example(one_line(row[form.text]), label, marks)
