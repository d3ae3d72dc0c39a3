"""Annotated rows as bytes of a format, a batch at a time.

jsonl        {...the row's columns, "tasks": {task: {"label", "score"[, "scores"]}}}
csv, tsv     the row's columns, then <task> and <task>.score, and with all scores <task>.<label> for each label
parquet      the same columns as csv
"""

import csv
import io
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from annotator.exits import Exit, Failure, needs_packages
from annotator.rows import Row
from graph.merge import Annotation

Labels = Mapping[str, Sequence[str]]
"""Labels by task name."""

FORMATS = ("jsonl", "csv", "tsv", "parquet")


class Results(ABC):
    """Turns annotated rows into bytes that stand one behind the other in a file.

    Args:
        labels: of the tasks that are answered.
        all_scores: whether to write the score of each label, or of the highest only.

    Attributes:
        begun: whether rows stand in the file already.
    """

    begun = False

    def __init__(self, labels: Labels, all_scores: bool) -> None:
        self.labels = labels
        self.all_scores = all_scores

    @abstractmethod
    def encode(self, rows: Sequence[Row], annotations: Sequence[Annotation]) -> bytes:
        """The rows as bytes."""

    def finish(self, written: Path, out: Path) -> None:
        """Make what was written the result."""
        os.replace(written, out)


def results_for(name: str, labels: Labels, all_scores: bool, source: Path | None = None) -> Results:
    """The writer of a format; `source` is the Parquet file that the rows come from, whose types are kept."""
    if name == "parquet":
        return ParquetFile(labels, all_scores, source)
    if name == "jsonl":
        return JsonLines(labels, all_scores)
    return Csv(labels, all_scores, "\t" if name == "tsv" else ",")


def best(scores: Mapping[str, float]) -> str:
    """The label with the highest score; the first of equals."""
    return max(scores, key=scores.__getitem__)


def summary(annotation: Annotation, all_scores: bool) -> dict[str, Any]:
    """Label and score a task, and the scores of all labels if wished."""
    answers: dict[str, Any] = {}
    for task, scores in annotation.items():
        label = best(scores)
        answers[task] = {"label": label, "score": scores[label]} | ({"scores": scores} if all_scores else {})
    return answers


def json_line(row: Row, annotation: Annotation, all_scores: bool) -> bytes:
    """One line, UTF-8, newline included."""
    if "tasks" in row:
        raise Failure("the rows have a column tasks already; rename it", Exit.USAGE)
    line = json.dumps(row | {"tasks": summary(annotation, all_scores)}, ensure_ascii=False, default=str)
    return (line + "\n").encode("utf-8", "replace")


class JsonLines(Results):
    """An object a line."""

    def encode(self, rows: Sequence[Row], annotations: Sequence[Annotation]) -> bytes:
        """See `Results`."""
        return b"".join(json_line(row, a, self.all_scores) for row, a in zip(rows, annotations, strict=True))


class Csv(Results):
    """A line a row, as Python's `csv` writes it, with a header."""

    def __init__(self, labels: Labels, all_scores: bool, delimiter: str) -> None:
        super().__init__(labels, all_scores)
        self.delimiter = delimiter

    def encode(self, rows: Sequence[Row], annotations: Sequence[Annotation]) -> bytes:
        """See `Results`."""
        text = io.StringIO(newline="")
        columns = [*rows[0], *_new_columns(rows[0], self.labels, self.all_scores)]
        writer = csv.DictWriter(text, columns, delimiter=self.delimiter)
        if not self.begun:
            writer.writeheader()
        self.begun = True
        try:
            writer.writerows(flat(row, a, self.all_scores) for row, a in zip(rows, annotations, strict=True))
        except ValueError as error:
            raise Failure(f"the rows differ in their columns: {error}; write jsonl instead", Exit.USAGE) from error
        return text.getvalue().encode("utf-8", "replace")


class ParquetFile(Results):
    """Columns. While rows are still coming they lie as whole Arrow streams, one a batch, since Parquet cannot grow."""

    def __init__(self, labels: Labels, all_scores: bool, source: Path | None) -> None:
        super().__init__(labels, all_scores)
        with needs_packages():
            import pyarrow
            from pyarrow import ipc, parquet
        self._arrow, self._ipc, self._parquet = pyarrow, ipc, parquet
        self._source = parquet.read_schema(source) if source else None

    def encode(self, rows: Sequence[Row], annotations: Sequence[Annotation]) -> bytes:
        """See `Results`."""
        schema = self._schema(rows[0])
        plain = [
            {name: _as_string(value) if schema.field(name).type == self._arrow.string() else value for name, value in f}
            for f in (flat(row, a, self.all_scores).items() for row, a in zip(rows, annotations, strict=True))
        ]
        stream = io.BytesIO()
        with self._ipc.new_stream(stream, schema) as writer:
            writer.write_table(self._arrow.Table.from_pylist(plain, schema))
        return stream.getvalue()

    def finish(self, written: Path, out: Path) -> None:
        """See `Results`."""
        unfinished = out.with_name(f"{out.name}.unfinished")
        size = written.stat().st_size
        with written.open("rb") as stream:
            first = self._ipc.open_stream(stream)
            with self._parquet.ParquetWriter(unfinished, first.schema) as writer:
                writer.write_table(first.read_all())
                while stream.tell() < size:
                    writer.write_table(self._ipc.open_stream(stream).read_all())
        os.replace(unfinished, out)

    def _schema(self, columns: Iterable[str]) -> Any:
        text, number = self._arrow.string(), self._arrow.float32()
        carried = [self._source.field(name) if self._source else self._arrow.field(name, text) for name in columns]
        new = [
            self._arrow.field(name, text if name in self.labels else number)
            for name in _new_columns(columns, self.labels, self.all_scores)
        ]
        return self._arrow.schema([*carried, *new])


def flat(row: Row, annotation: Annotation, all_scores: bool) -> Row:
    """The row with the answers as columns."""
    answers: Row = {}
    for task, answer in summary(annotation, all_scores).items():
        answers |= {task: answer["label"], f"{task}.score": answer["score"]}
        answers |= {f"{task}.{label}": score for label, score in answer.get("scores", {}).items()}
    return row | answers


def _new_columns(columns: Iterable[str], labels: Labels, all_scores: bool) -> list[str]:
    names: list[str] = []
    for task, of_task in labels.items():
        names += [task, f"{task}.score", *(f"{task}.{label}" for label in of_task if all_scores)]
    if taken := set(names) & set(columns):
        raise Failure(f"the rows have a column {min(taken)} already; rename it", Exit.USAGE)
    return names


def _as_string(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text.encode("utf-8", "replace").decode()
