"""DynaSent, rounds 1 and 2: JSON lines with the sentence and the label that most raters gave."""

import json
from collections.abc import Iterator
from pathlib import Path

from training.convert.examples import Example, find_files, one_line
from training.convert.form import Form
from training.data import Split


def read(source: Path, form: Form) -> Iterator[tuple[Split, Example]]:
    """All sentences whose majority label is one of ours; there is none where raters disagree.

    Raises:
        ValueError: a line is not JSON with sentence and label.
    """
    ours = form.ours()
    for split, path in find_files(source, form):
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    record = json.loads(line)
                    text, label = record[form.text], record[form.label]
                except (ValueError, KeyError, TypeError) as error:
                    raise ValueError(f"{path}, line {number}: no JSON with {form.text} and {form.label}") from error
                if label in ours:
                    yield split, Example(one_line(text), ours[label])
