"""Rows of DATA/<task>/<split>.tsv.gz, and the order in which a run sees them."""

import gzip
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from graph.tasks import Task
from graph.tokenizer import Tokenizer
from training.recipe import Recipe

Split = Literal["train", "valid", "test"]

# Rows are sorted by length inside windows of so many batches: little padding, and still a mixed order.
WINDOW_BATCHES = 50


@dataclass(frozen=True)
class Row:
    """One labelled utterance."""

    text: str
    label: int
    origin: str


@dataclass(frozen=True)
class TrainingBatch:
    """Rows of several tasks, padded.

    Attributes:
        ids: int64 `(rows, width)`.
        mask: int64 `(rows, width)`, 1 for a token.
        tasks: int64 `(rows,)`, position of the row's task in contract order.
        labels: int64 `(rows,)`, position of the label in its task.
    """

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]
    tasks: NDArray[np.int64]
    labels: NDArray[np.int64]


def read_rows(data: Path, task: Task, split: Split) -> list[Row]:
    """All rows of a task's split.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a row is not text, known label and origin; the message names file and line.
            Or the file is broken; the message names it.
    """
    path = data / task.name / f"{split}.tsv.gz"
    positions = {label: i for i, label in enumerate(task.labels)}
    rows: list[Row] = []
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
            if next(lines, "").rstrip("\n") != "text\tlabel\torigin":
                raise ValueError(f"{path}: the header must be text, label, origin, separated by tabs")
            for number, line in enumerate(lines, start=2):
                fields = line.rstrip("\n").split("\t")
                if len(fields) != 3 or fields[1] not in positions:
                    raise ValueError(f"{path}, line {number}: not a text, a label of {task.name} and an origin")
                rows.append(Row(fields[0], positions[fields[1]], fields[2]))
    except (EOFError, UnicodeDecodeError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: not a whole gzip file of UTF-8 text: {error}") from error
    return rows


def read_training_rows(data: Path, tasks: Sequence[Task], recipe: Recipe) -> list[list[Row]]:
    """Rows of the train split a task, without the origins that the recipe leaves out."""
    return [[row for row in read_rows(data, task, "train") if row.origin not in recipe.leave_out] for task in tasks]


def draw_epoch(rows: Sequence[Row], recipe: Recipe, random: np.random.Generator) -> list[Row]:
    """The rows of one task for one epoch: repeated origins whole, the others drawn with balanced classes.

    A class of n rows is drawn in proportion to the root of n, so that a rare class is seen without being repeated
    as often as full balance would.
    """
    repeated = [row for row in rows for _ in range(recipe.repeat.get(row.origin, 0))]
    others = [row for row in rows if row.origin not in recipe.repeat]
    if len(others) > recipe.rows_per_task:
        sizes = Counter(row.label for row in others)
        weights = np.array([sizes[row.label] ** -0.5 for row in others])
        drawn = random.choice(len(others), recipe.rows_per_task, replace=False, p=weights / weights.sum())
        others = [others[i] for i in drawn]
    return repeated + others


def epoch_batches(
    rows_by_task: Sequence[Sequence[Row]], tokenizer: Tokenizer, recipe: Recipe, epoch: int
) -> list[TrainingBatch]:
    """All batches of an epoch, in order: a function of the recipe's seed and the epoch's number alone."""
    random = np.random.default_rng([recipe.seed, epoch])
    drawn = [(t, row) for t, rows in enumerate(rows_by_task) for row in draw_epoch(rows, recipe, random)]
    plain = random.random(len(drawn)) < recipe.plain_share
    tokens = tokenizer([spoken(row.text) if p else row.text for (_, row), p in zip(drawn, plain, strict=True)])
    tasks = np.array([t for t, _ in drawn], dtype=np.int64)
    labels = np.array([row.label for _, row in drawn], dtype=np.int64)
    batches: list[TrainingBatch] = []
    for rows in _mixed_order(tokens.lengths, recipe.batch_size, random):
        ids, mask = tokens.padded(rows)
        batches.append(TrainingBatch(ids, mask, tasks[rows], labels[rows]))
    return batches


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


_PUNCTUATION = re.compile(r"[^\w\s']+")


def spoken(text: str) -> str:
    """The text as speech recognition would write it: lower case, no punctuation but apostrophes."""
    plain = " ".join(_PUNCTUATION.sub(" ", text.lower()).split())
    return plain or text


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
