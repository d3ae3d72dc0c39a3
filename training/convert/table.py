"""CSV with a header, a column of texts and a column of labels: DeepPavlov Topics, Yahoo ConversVsInfo."""

import csv
from collections.abc import Iterator
from pathlib import Path

from training.convert.examples import Example, find_files, one_line
from training.convert.form import Form
from training.data import Split


def read(source: Path, form: Form) -> Iterator[tuple[Split, Example]]:
    """All rows with exactly one label of ours."""
    ours = form.ours()
    for split, path in find_files(source, form):
        for row in read_csv(path, form.text, form.label):
            theirs = row[form.label].split(form.separator) if form.separator else [row[form.label]]
            found = {ours[label.strip()] for label in theirs if label.strip() in ours}
            if len(found) == 1 and len(theirs) == 1:
                yield split, Example(one_line(row[form.text]), found.pop())


def read_csv(path: Path, *needed: str) -> Iterator[dict[str, str]]:
    """Rows by column.

    Raises:
        ValueError: a column that is needed is missing, or a row has other columns than the header.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        for column in needed:
            if column not in (reader.fieldnames or []):
                raise ValueError(f"{path}: no column {column}")
        for row in reader:
            if None in row or None in row.values():
                raise ValueError(f"{path}, line {reader.line_num}: not as many fields as the header has")
            yield row
