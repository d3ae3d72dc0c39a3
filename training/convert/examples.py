"""Converted rows: found in files, split, written."""

import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from graph.tasks import Task
from training.convert.form import Form
from training.data import Split, text_hash

# Of every hundred texts of train, by hash, when the source has no such split.
SHARES: dict[Split, range] = {"valid": range(10), "test": range(10, 20)}

Marks = Mapping[str, int]
"""Class to 1 or 0; a class that was not asked for is missing."""


@dataclass(frozen=True)
class Example:
    """One utterance.

    Attributes:
        text: on one line.
        label: ours; None where no single one holds.
        marks: for a source that asks about each class by itself.
    """

    text: str
    label: str | None
    marks: Marks = field(default_factory=dict)


def find_files(source: Path, form: Form) -> Iterator[tuple[Split, Path]]:
    """The source's files with their splits, in a fixed order; `source` may also be the one file of train.

    Raises:
        FileNotFoundError: there are none of train.
    """
    if source.is_file():
        yield "train", source
        return
    found = [(split, path) for split, group in form.files.items() for name in group for path in source.rglob(name)]
    if not any(split == "train" for split, _ in found):
        raise FileNotFoundError(f"{source} has no {' or '.join(form.files['train'])}")
    yield from sorted(found)


def one_line(text: str) -> str:
    """The text without tabs and line breaks, which part rows and columns."""
    return " ".join(text.split())


def split_examples(examples: Iterable[tuple[Split, Example]]) -> dict[Split, list[Example]]:
    """Sort into splits, so that no text stands in two.

    A split that the source lacks gets a tenth of train, chosen by the hash of the text. Of a text that stands in
    several splits, or twice in one, the first is kept, those held out before those of train.
    """
    splits: dict[Split, list[Example]] = {split: [] for split in get_args(Split)}
    for split, example in examples:
        splits[split].append(example)
    for missing, places in SHARES.items():
        if not splits[missing]:
            drawn = [int.from_bytes(text_hash(example.text)) % 100 in places for example in splits["train"]]
            splits[missing] = [example for example, mine in zip(splits["train"], drawn, strict=True) if mine]
    seen: set[bytes] = set()
    for split in ("test", "valid", "train"):
        kept: list[Example] = []
        for example in splits[split]:
            key = text_hash(example.text)
            if key not in seen and example.text:
                seen.add(key)
                kept.append(example)
        splits[split] = kept
    return splits


def write_examples(splits: Mapping[Split, Sequence[Example]], task: Task, origin: str, out: Path) -> list[Path]:
    """Write `<task>/<split>.tsv.gz`, and `<split>_multilabel.tsv.gz` where the examples have marks.

    Raises:
        FileExistsError: a file is there already.
    """
    classes = [label for label in task.labels if any(label in e.marks for group in splits.values() for e in group)]
    contents: dict[Path, list[str]] = {}
    for split, examples in splits.items():
        singles = [f"{e.text}\t{e.label}\t{origin}" for e in examples if e.label is not None]
        contents[out / task.name / f"{split}.tsv.gz"] = ["text\tlabel\torigin", *singles]
        if classes:
            rows = ["\t".join([e.text, *(str(e.marks.get(c, "")) for c in classes), origin]) for e in examples]
            contents[out / task.name / f"{split}_multilabel.tsv.gz"] = ["\t".join(["text", *classes, "origin"]), *rows]
    for path in contents:
        if path.exists():
            raise FileExistsError(f"{path} is there already")
    for path, lines in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))
    return list(contents)
