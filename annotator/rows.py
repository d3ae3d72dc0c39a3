"""Texts to annotate, from wherever they lie, one row after the other: no file is ever held whole.

A row is a dict of columns, one of which is the text; the others travel with it into the result.
"""

import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from annotator.exits import Exit, Failure, needs_packages

Row = dict[str, Any]

DEFAULT_COLUMN = "text"
STDIN = Path("-")
# Longest field of a CSV file; the library's own limit is 128 KB.
FIELD_CHARACTERS = 2**31 - 1
PARQUET_ROWS = 1024


@dataclass(frozen=True)
class Table:
    """Rows of a file or of standard input.

    Attributes:
        path: the file; `STDIN` for standard input.
        format: a key of `READERS`.
        column: which one holds the text; where None is named it is `text`, or the only one.
    """

    path: Path
    format: str
    column: str | None = None

    def __iter__(self) -> Iterator[tuple[str, Row]]:
        """Each row behind its text.

        Raises:
            Failure: the file cannot be read, or a row has no text; the message names the line.
        """
        for where, row in READERS[self.format](self.path):
            column = self.column or (DEFAULT_COLUMN if len(row) != 1 else next(iter(row)))
            if column not in row:
                place = f"{self.path}, {where}" if self.format == "jsonl" else f"{self.path}"
                told = f"{place}: no column {column}; there are: {', '.join(row) or 'none'}; --column names one"
                raise Failure(told, Exit.USAGE)
            if not isinstance(row[column], str):
                raise Failure(f"{self.path}, {where}: column {column} holds no text: {row[column]!r:.40}", Exit.USAGE)
            yield row[column], row

    def count(self) -> int | None:
        """How many rows the file has, each looked at, so that a bad one is found before work begins.

        None for standard input, which can be read but once.
        """
        return None if self.path == STDIN else sum(1 for _ in self)


def format_of(path: Path, given: str | None) -> str:
    """The format that was given, or the one that the file's name ends in; plain lines for standard input.

    Raises:
        Failure: there is no such file, or its name says nothing.
    """
    if path != STDIN and not path.is_file():
        raise Failure(f"{path} is a folder" if path.is_dir() else f"no file {path}", Exit.USAGE)
    name = given or ("txt" if path == STDIN else path.suffix.lower().removeprefix("."))
    if name not in READERS:
        raise Failure(f"{path}: what format is this? --format takes {', '.join(READERS)}", Exit.USAGE)
    return name


def _read_lines(path: Path) -> Iterator[tuple[str, Row]]:
    with _text_of(path) as lines:
        for number, line in enumerate(lines, start=1):
            yield f"line {number}", {DEFAULT_COLUMN: line.rstrip("\r\n")}


def _read_csv(path: Path, delimiter: str = ",") -> Iterator[tuple[str, Row]]:
    csv.field_size_limit(FIELD_CHARACTERS)
    with _text_of(path, newline="") as lines:
        reader = csv.DictReader(lines, delimiter=delimiter)
        try:
            for row in reader:
                if None in row or None in row.values():
                    columns = len(reader.fieldnames or ())
                    raise Failure(f"{path}, line {reader.line_num}: not {columns} columns as in line 1", Exit.USAGE)
                yield f"line {reader.line_num}", row
        except csv.Error as error:
            raise Failure(f"{path}, line {reader.line_num}: {error}", Exit.USAGE) from error


def _read_tsv(path: Path) -> Iterator[tuple[str, Row]]:
    return _read_csv(path, delimiter="\t")


def _read_json_lines(path: Path) -> Iterator[tuple[str, Row]]:
    with _text_of(path) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except ValueError as error:
                raise Failure(f"{path}, line {number}: no JSON: {error}", Exit.USAGE) from error
            if not isinstance(value, str | dict):
                raise Failure(f"{path}, line {number}: neither a JSON object nor a string", Exit.USAGE)
            yield f"line {number}", value if isinstance(value, dict) else {DEFAULT_COLUMN: value}


def _read_parquet(path: Path) -> Iterator[tuple[str, Row]]:
    with needs_packages():
        import pyarrow
        from pyarrow.parquet import ParquetFile
    number = 0
    try:
        with ParquetFile(sys.stdin.buffer if path == STDIN else path) as file:
            for batch in file.iter_batches(PARQUET_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row
    except (pyarrow.ArrowException, OSError) as error:
        raise Failure(f"{path} is no Parquet file that can be read: {error}", Exit.USAGE) from error


Reader = Callable[[Path], Iterator[tuple[str, Row]]]
READERS: Mapping[str, Reader] = {
    "txt": _read_lines,
    "csv": _read_csv,
    "tsv": _read_tsv,
    "jsonl": _read_json_lines,
    "parquet": _read_parquet,
}


@contextmanager
def _text_of(path: Path, newline: str = "\n") -> Iterator[TextIO]:
    """The file as UTF-8 text, with or without a byte order mark."""
    try:
        with nullcontext(sys.stdin.buffer) if path == STDIN else path.open("rb") as stream:
            yield TextIOWrapper(stream, encoding="utf-8-sig", newline=newline)
    except UnicodeDecodeError as error:
        raise Failure(f"{path} is not UTF-8 text: {error.reason}", Exit.USAGE) from error
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", Exit.USAGE) from error
