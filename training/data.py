"""Rows of DATA/<task>/<split>.tsv.gz, and the order in which a run sees them."""

import gzip
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from graph.tasks import Task
from graph.tokenizer import TokenBatch, Tokenizer
from training.noise import misheard, spoken
from training.recipe import Recipe

Split = Literal["train", "valid", "test"]

# Of the names of files, by the kind of the task.
SUFFIXES = {"single": "", "multi": "_multilabel"}

# Rows are sorted by length inside windows of so many batches: little padding, and still a mixed order.
WINDOW_BATCHES = 50

# Of a label that a source never asked about.
NOT_ASKED = -1


@dataclass(frozen=True)
class Row:
    """One labelled utterance.

    Attributes:
        text: as the file has it.
        label: position of its label; of kind multi of the first that holds, or how many there are if none does.
        origin: which source it is from.
        marks: of kind multi, for each label 1 (holds), 0 (does not) or `NOT_ASKED`; else empty.
    """

    text: str
    label: int
    origin: str
    marks: tuple[int, ...] = ()


@dataclass(frozen=True)
class TrainingBatch:
    """Rows of several tasks, padded.

    Attributes:
        ids: int64 `(rows, width)`.
        mask: int64 `(rows, width)`, 1 for a token.
        tasks: int64 `(rows,)`, position of the row's task in contract order.
        labels: int64 `(rows,)`, position of the label in its task.
        marks: int64 `(rows, most labels of a row of kind multi)`, `NOT_ASKED` behind the last label of a row.
    """

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]
    tasks: NDArray[np.int64]
    labels: NDArray[np.int64]
    marks: NDArray[np.int64]


def read_rows(data: Path, task: Task, split: Split) -> list[Row]:
    """All rows of a task's split; of kind multi from `<split>_multilabel.tsv.gz`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a row is not text, known label and origin; the message names file and line.
            Or the file is broken; the message names it.
    """
    return read_file(data / task.name / f"{split}{SUFFIXES[task.kind]}.tsv.gz", task)


def read_file(path: Path, task: Task) -> list[Row]:
    """All rows of one file, gzipped or not; see `read_rows`."""
    rows: list[Row] = []
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8", newline="\n") as lines:
            parse = _row_parser(path, task, next(lines, "").rstrip("\n").split("\t"))
            for number, line in enumerate(lines, start=2):
                row = parse(line.rstrip("\n").split("\t"))
                if row is None:
                    wanted = "a label" if task.kind == "single" else "1, 0 or nothing for each label"
                    raise ValueError(f"{path}, line {number}: not a text, {wanted} of {task.name} and an origin")
                rows.append(row)
    except (EOFError, UnicodeDecodeError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: not a whole file of UTF-8 text: {error}") from error
    return rows


def _row_parser(path: Path, task: Task, header: list[str]) -> Callable[[list[str]], Row | None]:
    """What makes a row of the fields of a line, or None where they are none."""
    if task.kind == "single":
        if header != ["text", "label", "origin"]:
            raise ValueError(f"{path}: the header must be text, label, origin, separated by tabs")
        positions = {label: i for i, label in enumerate(task.labels)}
        return lambda fields: (
            Row(fields[0], positions[fields[1]], fields[2]) if len(fields) == 3 and fields[1] in positions else None
        )
    labels = header[1:-1]
    if header[:1] + header[-1:] != ["text", "origin"] or not labels or set(labels) - set(task.labels):
        raise ValueError(f"{path}: the header must be text, labels of {task.name}, origin, separated by tabs")
    return lambda fields: _marked_row(fields, labels, task.labels)


def _marked_row(fields: list[str], asked: Sequence[str], labels: Sequence[str]) -> Row | None:
    if len(fields) != len(asked) + 2 or not set(fields[1:-1]) <= {"1", "0", ""}:
        return None
    given = {label: int(field) for label, field in zip(asked, fields[1:-1], strict=True) if field}
    marks = tuple(given.get(label, NOT_ASKED) for label in labels)
    return Row(fields[0], marks.index(1) if 1 in marks else len(labels), fields[-1], marks)


def read_training_rows(data: Path, tasks: Sequence[Task], recipe: Recipe) -> list[list[Row]]:
    """Rows a task of the train split and of the recipe's own lines, without the origins that it leaves out."""
    rows_by_task: list[list[Row]] = []
    for task in tasks:
        rows = read_rows(data, task, "train")
        if recipe.lines is not None and (own := recipe.lines / f"{task.name}{SUFFIXES[task.kind]}.tsv").exists():
            rows += read_file(own, task)
        rows_by_task.append([row for row in rows if row.origin not in recipe.leave_out])
    return rows_by_task


def draw_epoch(rows: Sequence[Row], count: int, recipe: Recipe, random: np.random.Generator) -> list[Row]:
    """The rows of one task for one epoch: repeated origins whole, and `count` of the others, classes balanced.

    At the default balance a class of n rows is drawn in proportion to the root of n, so that a rare class is seen
    without being repeated as often as full balance would.
    """
    repeated = [row for row in rows for _ in range(recipe.repeat.get(row.origin, 0))]
    others = [row for row in rows if row.origin not in recipe.repeat]
    if len(others) > count:
        sizes = Counter(row.label for row in others)
        weights = np.array([sizes[row.label] ** -recipe.class_balance for row in others])
        drawn = random.choice(len(others), count, replace=False, p=weights / weights.sum())
        others = [others[i] for i in drawn]
    return repeated + others


@dataclass(frozen=True)
class Epoch:
    """What a run sees in one epoch: a function of the recipe's seed and the epoch's number alone.

    Attributes:
        rows: with the position of each row's task in contract order.
        tokens: of the rows as the model reads them: some in plain spelling, some with noise.
        batches: positions in `rows`, in order of training.
    """

    rows: list[tuple[int, Row]]
    tokens: TokenBatch
    batches: list[NDArray[np.intp]]

    def batch(self, number: int) -> TrainingBatch:
        """One batch, padded."""
        positions = self.batches[number]
        ids, mask = self.tokens.padded(positions)
        chosen = [self.rows[i] for i in positions]
        tasks = np.array([task for task, _ in chosen], dtype=np.int64)
        labels = np.array([row.label for _, row in chosen], dtype=np.int64)
        marks = np.full((len(chosen), max(len(row.marks) for _, row in chosen)), NOT_ASKED, dtype=np.int64)
        for place, (_, row) in enumerate(chosen):
            marks[place, : len(row.marks)] = row.marks
        return TrainingBatch(ids, mask, tasks, labels, marks)


def draw(
    rows_by_task: Sequence[Sequence[Row]], tasks: Sequence[Task], tokenizer: Tokenizer, recipe: Recipe, epoch: int
) -> Epoch:
    """Draw an epoch."""
    random = np.random.default_rng([recipe.seed, epoch])
    drawn = [
        (t, row)
        for t, rows in enumerate(rows_by_task)
        for row in draw_epoch(rows, recipe.rows.get(tasks[t].name, recipe.rows_per_task), recipe, random)
    ]
    plain = random.random(len(drawn)) < recipe.plain_share
    noisy = random.random(len(drawn)) < recipe.noise_share
    texts = [row.text for _, row in drawn]
    texts = [misheard(text, random) if n else text for text, n in zip(texts, noisy, strict=True)]
    tokens = tokenizer([spoken(text) if p else text for text, p in zip(texts, plain, strict=True)])
    return Epoch(drawn, tokens, list(_mixed_order(tokens.lengths, recipe.batch_size, random)))


def _mixed_order(
    lengths: NDArray[np.int32], batch_size: int, random: np.random.Generator
) -> Iterator[NDArray[np.intp]]:
    shuffled = random.permutation(len(lengths))
    window = batch_size * WINDOW_BATCHES
    batches: list[NDArray[np.intp]] = []
    for begin in range(0, len(shuffled), window):
        rows = shuffled[begin : begin + window]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches.extend(rows[i : i + batch_size] for i in range(0, len(rows), batch_size))
    return (batches[i] for i in random.permutation(len(batches)))


HASH_BYTES = 8


def text_hash(text: str) -> bytes:
    """`HASH_BYTES` bytes that stand for a text compared without case, spaces and punctuation."""
    return hashlib.sha256("".join(re.findall(r"\w+", text.lower())).encode("utf-8", "replace")).digest()[:HASH_BYTES]


def write_seen(path: Path, rows_by_task: Sequence[Sequence[Row]]) -> None:
    """Write the sorted `text_hash` of every training text, so that a test line can be shown to be none of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(sorted({text_hash(row.text) for rows in rows_by_task for row in rows})))


def read_seen(path: Path) -> set[bytes]:
    """What `write_seen` wrote."""
    packed = path.read_bytes()
    return {packed[i : i + HASH_BYTES] for i in range(0, len(packed), HASH_BYTES)}
