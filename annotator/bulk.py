"""Many rows through an engine: in order, in bounded memory, with the time left, and able to go on after a break."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from annotator.engines import Engine
from annotator.exits import Exit, Failure
from annotator.journal import Journal
from annotator.results import Results, json_line
from annotator.rows import Row
from graph.merge import Annotation

Item = tuple[str, Row]
Advance = Callable[[int], None]


def annotated(engine: Engine, items: Iterable[Item]) -> Iterator[tuple[list[Row], list[Annotation]]]:
    """Rows and their annotations, batch by batch, in order; no more batches are held than calls may be under way."""
    source = iter(items)
    running: deque[tuple[list[Row], Future[list[Annotation]]]] = deque()
    with ThreadPoolExecutor(engine.calls) as pool:
        try:
            while batch := list(islice(source, engine.texts)):
                running.append(([row for _, row in batch], pool.submit(engine, [text for text, _ in batch])))
                # One more than is computed, so that the next is read meanwhile.
                if len(running) > engine.calls:
                    rows, answer = running.popleft()
                    yield rows, answer.result()
            for rows, answer in running:
                yield rows, answer.result()
        finally:
            pool.shutdown(cancel_futures=True)


def write_lines(stream: BinaryIO, engine: Engine, items: Iterable[Item], all_scores: bool, advance: Advance) -> None:
    """Write JSON lines to a stream, each batch at once."""
    for rows, annotations in annotated(engine, items):
        stream.write(b"".join(json_line(row, a, all_scores) for row, a in zip(rows, annotations, strict=True)))
        stream.flush()
        advance(len(rows))


def write_file(
    out: Path, engine: Engine, items: Iterable[Item], results: Results, journal: Journal, advance: Advance
) -> None:
    """Write a file by way of its journal, behind the rows that it has already.

    Raises:
        Failure: it was broken off, or there were no rows.
    """
    results.begun = journal.rows > 0
    try:
        for rows, annotations in annotated(engine, islice(items, journal.rows, None)):
            journal.append(results.encode(rows, annotations), len(rows))
            advance(len(rows))
    except KeyboardInterrupt:
        told = f"broken off after {journal.rows:,} rows; the same command with --resume goes on"
        raise Failure(told, Exit.INTERRUPTED) from None
    finally:
        journal.close()
    if journal.rows:
        results.finish(journal.part, out)
    journal.forget()
    if not journal.rows:
        raise Failure("nothing to annotate: there are no rows", Exit.USAGE)


@contextmanager
def progress_bar(total: int | None, done: int = 0) -> Iterator[Advance]:
    """A bar on the terminal, if standard error is one; yields what takes the number of rows just done.

    Args:
        total: rows in all, if that is known.
        done: rows that an earlier run did.
    """
    console = Console(stderr=True)
    columns = (MofNCompleteColumn(), TextColumn("rows"), BarColumn(), TaskProgressColumn(show_speed=True))
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total, completed=done)
        yield lambda rows: progress.advance(task, rows)
