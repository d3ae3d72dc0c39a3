"""MIDAS: a line an utterance, `bot : user before > user now ## act;act;`."""

import re
from collections.abc import Iterator
from pathlib import Path

from training.convert.examples import Example, find_files, one_line
from training.convert.form import Form
from training.data import Split

_LINE = re.compile(r"(?P<before>.*) > (?P<text>.*?) ## (?P<acts>[^#]*)")


def read(source: Path, form: Form) -> Iterator[tuple[Split, Example]]:
    """What the user says now, where it has one act and that is one of ours.

    Raises:
        ValueError: a line has another shape.
    """
    ours = form.ours()
    for split, path in find_files(source, form):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            if not line.strip():
                continue
            parts = _LINE.fullmatch(line.strip())
            if parts is None:
                raise ValueError(f"{path}, line {number}: not of the shape bot : before > now ## acts")
            acts = [act.strip() for act in parts["acts"].split(";") if act.strip()]
            if len(acts) == 1 and acts[0] in ours:
                yield split, Example(one_line(parts["text"]), ours[acts[0]])
