"""`annotator annotate`: texts from anywhere, annotations to anywhere."""

import os
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.exits import Exit, Failure, told_in_one_line
from annotator.options import JsonOption, KeyOption, ModelOption, TasksOption, ThreadsOption, examples, places, refuse

if TYPE_CHECKING:
    from annotator.bulk import Item
    from annotator.engines import Engine

# A path component may have no more bytes.
LONGEST_NAME = 255

EXAMPLES = examples(
    'annotator annotate "i love you" "who painted it"',
    "annotator annotate --input chats.csv --column utterance --out annotated.csv",
    "annotator annotate --input chats.jsonl --out annotated.parquet --all-scores --resume",
    "cat lines.txt | annotator annotate - | jq .tasks",
    "annotator annotate --input chats.csv --out annotated.csv --url http://localhost:8000",
)


def annotate(
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts; - reads standard input.", show_default=False)
    ] = None,
    input_: Annotated[
        Path | None, typer.Option("--input", "-i", help="File of texts: txt (one a line), csv, tsv, jsonl or parquet.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write: jsonl, csv, tsv or parquet, as its name ends.")
    ] = None,
    column: Annotated[
        str | None, typer.Option("--column", "-c", show_default="text, or the only one", help="Column of the texts.")
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", "-f", show_default="as the name ends", help="Format of the input.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", "-t", show_default="all", help="Only this task; may be repeated.")
    ] = None,
    all_scores: Annotated[
        bool, typer.Option("--all-scores", help="The score of every label, not of the best.")
    ] = False,
    url: Annotated[
        str | None, typer.Option(help="Service that annotates.", show_default="annotate in this process")
    ] = None,
    key: KeyOption = None,
    model: ModelOption = None,
    tasks: TasksOption = None,
    threads: ThreadsOption = None,
    batch: Annotated[
        int | None, typer.Option(min=1, show_default="256, or 64 with --url", help="Texts at once.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a run was broken off.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew, whatever --out holds.")] = False,
    json: JsonOption = False,
) -> None:
    """Annotate texts: given here, from a file, or from standard input.

    Files are streamed: they may be larger than memory.
    What is written with --out may be broken off at any moment and goes on with --resume.
    """
    from annotator.engines import LOCAL_TEXTS, SERVICE_TEXTS, LocalEngine, ServiceEngine, cores

    if url:
        refuse(
            {"--model": model, "--tasks": tasks, "--threads": threads}, "goes without --url: the service has its own"
        )
    with told_in_one_line():
        source = source_of(texts or [], input_, format_, column)
        if resume and (out is None or source.path is None):
            raise Failure("--resume needs --input FILE and --out FILE", Exit.USAGE)
        engine: Engine
        if url:
            engine = ServiceEngine(url, key, task or [], batch or SERVICE_TEXTS)
        else:
            engine = LocalEngine(*places(model, tasks), task or [], threads or cores(), batch or LOCAL_TEXTS)
        if out:
            to_file(source, engine, out, all_scores, resume, overwrite)
        elif source.on_screen and not json:
            to_screen(source, engine, all_scores)
        else:
            to_stdout(source, engine, all_scores)


@dataclass(frozen=True)
class Source:
    """What is annotated.

    Attributes:
        items: each row behind its text.
        total: how many, if that is known.
        path: the file they come from, if it is one that can be read again.
        format: that of the file.
        on_screen: whether they were typed, and their annotations are for a person.
    """

    items: "Iterable[Item]"
    total: int | None
    path: Path | None = None
    format: str | None = None
    on_screen: bool = False


def source_of(texts: Sequence[str], file: Path | None, format_: str | None, column: str | None) -> Source:
    """The texts of the command line, of a file, or of standard input.

    Raises:
        Failure: there are none, or a file cannot be read.
    """
    from annotator.rows import DEFAULT_COLUMN, STDIN, Table, format_of

    if file and texts:
        raise Failure("texts or --input, not both", Exit.USAGE)
    if not texts and not file and sys.stdin.isatty():
        raise Failure("nothing to annotate: give a text, --input FILE, or pipe lines into it", Exit.USAGE)
    for text in texts:
        if len(os.fsencode(text)) <= LONGEST_NAME and Path(text).is_file():
            raise Failure(f"{text} is a file: --input {text} annotates its lines", Exit.USAGE)
    if texts and texts != ["-"]:
        return Source([(text, {DEFAULT_COLUMN: text}) for text in texts], len(texts), on_screen=True)
    path = file or STDIN
    table = Table(path, format_of(path, format_), column)
    return Source(table, table.count(), None if path == STDIN else path, table.format)


def to_file(source: Source, engine: "Engine", out: Path, all_scores: bool, resume: bool, overwrite: bool) -> None:
    """Write a file, by way of a journal that a broken run goes on with."""
    from annotator.bulk import progress_bar, write_file
    from annotator.journal import Journal
    from annotator.results import FORMATS, results_for

    began = time.monotonic()
    name = out.suffix.lower().removeprefix(".")
    if name not in FORMATS:
        raise Failure(f"{out}: its name must end in one of .{', .'.join(FORMATS)}", Exit.USAGE)
    results = results_for(name, engine.labels, all_scores, source.path if source.format == "parquet" else None)
    journal = Journal(out, run_of(source, engine, all_scores), resume, overwrite)
    with progress_bar(source.total, journal.rows) as advance:
        write_file(out, engine, source.items, results, journal, advance)
    print(f"{out}: {journal.rows:,} rows, {time.monotonic() - began:.1f} s", file=sys.stderr)


def run_of(source: Source, engine: "Engine", all_scores: bool) -> dict[str, Any]:
    """What must be the same for a run to go on: the input, the weights, and what is asked of them."""
    about: dict[str, Any] = {"model": engine.version, "tasks": list(engine.labels), "all scores": all_scores}
    if source.path:
        about["input"] = [str(source.path.resolve()), source.path.stat().st_size, source.path.stat().st_mtime_ns]
    return about


def to_screen(source: Source, engine: "Engine", all_scores: bool) -> None:
    """Print a table a text."""
    from rich.console import Console

    from annotator.view import annotation_table

    texts = [text for text, _ in source.items]
    console = Console()
    for text, annotation in zip(texts, engine(texts), strict=True):
        console.print(annotation_table(text, annotation, all_scores, console.width))


def to_stdout(source: Source, engine: "Engine", all_scores: bool) -> None:
    """Print JSON lines."""
    from annotator.bulk import progress_bar, write_lines

    # Where the lines go to the terminal themselves, a bar would stand between them.
    with nullcontext(ignore) if sys.stdout.isatty() else progress_bar(source.total) as advance:
        write_lines(sys.stdout.buffer, engine, source.items, all_scores, advance)


def ignore(_: int) -> None:
    """Take the number of rows just done and show it nowhere."""
