"""`annotator annotate`, as it is typed."""

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from annotator import bulk
from annotator.engines import Engine
from annotator.journal import Journal
from graph.merge import Annotation
from graph.pipeline import Pipeline
from graph.tasks import load_tasks
from tests import TASKS_FILE
from tests.annotator.conftest import Run

TASKS = load_tasks(TASKS_FILE)
FIRST, SECOND = TASKS[0].name, TASKS[1].name
TEXTS = ["i love you", "", 'quoted "words", and commas', "two\nlines", "ünïcode \N{GRINNING FACE}", "apple pie"]
COMMAND = [sys.executable, "-c", "from annotator.cli import main; main()", "annotate"]


def rows(texts: Sequence[str] = TEXTS) -> list[dict[str, Any]]:
    return [{"id": f"r{number}", "utterance": text} for number, text in enumerate(texts)]


def write_csv(path: Path, delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ["id", "utterance"], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows())
    return path


def write_json_lines(path: Path) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()), "utf-8")
    return path


def write_parquet(path: Path) -> Path:
    parquet.write_table(pyarrow.Table.from_pylist([{**row, "n": i} for i, row in enumerate(rows())]), path)
    return path


def expected(pipeline: Pipeline, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Label and score a task."""
    answers = []
    for annotation in pipeline(texts):
        best = {task: max(scores, key=scores.__getitem__) for task, scores in annotation.items()}
        answers.append({task: {"label": label, "score": annotation[task][label]} for task, label in best.items()})
    return answers


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def read_csv(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter=delimiter))


def test_texts_are_shown_as_tables(annotate: Run, tiny_pipeline: Pipeline) -> None:
    ended = annotate("i love you", "apple pie")
    assert (ended.status, ended.err) == (0, "")
    shown = ended.out.splitlines()
    assert "i love you" in shown
    assert "apple pie" in shown
    for task, answer in expected(tiny_pipeline, ["i love you"])[0].items():
        assert re.search(rf"^{task} +{re.escape(answer['label'])} +{answer['score']:.2f}", ended.out, re.MULTILINE)


def test_all_scores_shows_each_label(annotate: Run) -> None:
    ended = annotate("apple pie", "--task", FIRST, "--all-scores")
    assert all(label in ended.out for label in TASKS[0].labels)
    assert SECOND not in ended.out


def test_json_is_a_line_a_text_with_the_pipelines_own_numbers(annotate: Run, tiny_pipeline: Pipeline) -> None:
    ended = annotate(*(text for text in TEXTS if text), "--json")
    lines = [json.loads(line) for line in ended.out.splitlines()]
    texts = [text for text in TEXTS if text]
    assert [line["text"] for line in lines] == texts
    for line, answer in zip(lines, expected(tiny_pipeline, texts), strict=True):
        assert list(line["tasks"]) == [task.name for task in TASKS]
        assert line["tasks"] == answer


def test_standard_input_is_read_line_by_line(
    annotate: Run, monkeypatch: pytest.MonkeyPatch, tiny_pipeline: Pipeline
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"first line\r\n\nlast line")))
    ended = annotate("-", "--task", FIRST)
    assert [json.loads(line)["text"] for line in ended.out.splitlines()] == ["first line", "", "last line"]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("out_suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_every_format_becomes_every_format(
    annotate: Run, tmp_path: Path, tiny_pipeline: Pipeline, suffix: str, out_suffix: str
) -> None:
    source = tmp_path / f"in.{suffix}"
    if suffix in ("csv", "tsv"):
        write_csv(source, "\t" if suffix == "tsv" else ",")
    else:
        {"jsonl": write_json_lines, "parquet": write_parquet}[suffix](source)
    out = tmp_path / f"out.{out_suffix}"
    ended = annotate("--input", source, "-c", "utterance", "--out", out, "-t", FIRST, "-t", SECOND, "--batch", 4)
    assert (ended.status, ended.out) == (0, "")
    assert "6 rows" in ended.err
    assert sorted(tmp_path.iterdir()) == sorted([source, out])
    if out_suffix == "jsonl":
        written = [row | {t: a["label"] for t, a in row["tasks"].items()} for row in read_lines(out)]
    elif out_suffix == "parquet":
        written = parquet.read_table(out).to_pylist()
    else:
        written = read_csv(out, "\t" if out_suffix == "tsv" else ",")
    for row, given, answer in zip(written, rows(), expected(tiny_pipeline, TEXTS), strict=True):
        assert {name: row[name] for name in given} == given
        assert [row[FIRST], row[SECOND]] == [answer[FIRST]["label"], answer[SECOND]["label"]]
        if out_suffix != "jsonl":
            assert float(row[f"{FIRST}.score"]) == pytest.approx(answer[FIRST]["score"], rel=1e-4)
    if (suffix, out_suffix) == ("parquet", "parquet"):
        assert parquet.read_schema(out).field("n").type == pyarrow.int64()


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_all_scores_are_written_when_asked_for(
    annotate: Run, tmp_path: Path, tiny_pipeline: Pipeline, suffix: str
) -> None:
    (tmp_path / "in.txt").write_text("apple pie\n", "utf-8")
    out = tmp_path / f"out.{suffix}"
    assert annotate("-i", tmp_path / "in.txt", "-o", out, "-t", FIRST, "--all-scores").status == 0
    scores = tiny_pipeline(["apple pie"])[0][FIRST]
    if suffix == "jsonl":
        found = read_lines(out)[0]["tasks"][FIRST]["scores"]
    else:
        found = {label: float(read_csv(out)[0][f"{FIRST}.{label}"]) for label in scores}
    assert found == pytest.approx(scores, rel=1e-5)


def test_a_lone_surrogate_does_not_stop_a_file(annotate: Run, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "half \\ud800 pair"}\n', "utf-8")
    for suffix in ("jsonl", "csv", "parquet"):
        ended = annotate("-i", tmp_path / "in.jsonl", "-o", tmp_path / f"out.{suffix}", "-t", FIRST)
        assert ended.status == 0, ended.err


def test_a_name_in_capitals_ends_as_any_other(annotate: Run, tmp_path: Path) -> None:
    source, out = write_csv(tmp_path / "IN.CSV"), tmp_path / "OUT.CSV"
    assert annotate("-i", source, "-c", "utterance", "-o", out, "-t", FIRST).status == 0
    assert [row["utterance"] for row in read_csv(out)] == TEXTS


def test_a_long_text_is_no_name_of_a_file(annotate: Run) -> None:
    ended = annotate("я" * 200, "-t", FIRST, "--json")
    assert (ended.status, ended.err) == (0, "")


class Broken(KeyboardInterrupt):
    """Stands for Ctrl-C at a moment that a test chooses."""


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_broken_run_goes_on_and_ends_as_an_unbroken_one(
    annotate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    source, out, whole = write_csv(tmp_path / "in.csv"), tmp_path / f"out.{suffix}", tmp_path / f"whole.{suffix}"
    arguments = ["-i", source, "-c", "utterance", "-t", FIRST, "--batch", 2]
    assert annotate(*arguments, "-o", whole).status == 0

    append = Journal.append
    appended: list[int] = []

    def break_at_the_second(self: Journal, data: bytes, count: int) -> None:
        if appended:
            # What a kill in the middle of a write leaves: bytes that no state speaks of.
            with self.part.open("ab") as stream:
                stream.write(data[:5])
            raise Broken
        append(self, data, count)
        appended.append(count)

    monkeypatch.setattr(Journal, "append", break_at_the_second)
    ended = annotate(*arguments, "-o", out)
    assert (ended.status, ended.err) == (
        130,
        "annotator: broken off after 2 rows; the same command with --resume goes on\n",
    )
    monkeypatch.setattr(Journal, "append", append)

    ended = annotate(*arguments, "-o", out)
    assert ended.status == 2
    assert "broken off after 2 rows: --resume goes on, --overwrite begins anew" in ended.err
    ended = annotate(*arguments, "-t", SECOND, "-o", out, "--resume")
    assert ended.status == 2
    assert "was begun otherwise (tasks)" in ended.err
    assert annotate(*arguments, "-o", out, "--resume").status == 0
    if suffix == "parquet":
        assert parquet.read_table(out).equals(parquet.read_table(whole))
    else:
        assert out.read_bytes() == whole.read_bytes()
    assert sorted(tmp_path.iterdir()) == sorted([source, out, whole])


@pytest.mark.slow
def test_a_killed_run_goes_on(tiny_model: Path, tmp_path: Path, annotate: Run) -> None:
    source, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text("".join(f"apple number {number}\n" for number in range(4000)), "utf-8")
    options = ["-i", source, "-o", out, "-t", FIRST, "--batch", "8"]
    process = subprocess.Popen([*COMMAND, *map(str, options), "--model", tiny_model, "--tasks", TASKS_FILE])
    state = tmp_path / "out.jsonl.part.json"
    deadline = time.monotonic() + 60
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < json.loads(state.read_text())["rows"] < 4000
    assert annotate(*options, "--resume").status == 0
    assert [row["text"] for row in read_lines(out)] == source.read_text("utf-8").splitlines()


@pytest.mark.slow
def test_a_terminal_gets_a_bar_with_the_time_left(tiny_model: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.txt"
    source.write_text("apple\n" * 500, "utf-8")
    ours, theirs = pty.openpty()
    options = ["-i", source, "-o", tmp_path / "out.csv", "--model", tiny_model, "--tasks", TASKS_FILE, "--batch", "16"]
    with subprocess.Popen([*COMMAND, *map(str, options)], stderr=theirs, env=os.environ | {"TERM": "xterm"}) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    assert process.returncode == 0
    text = shown.decode()
    assert "500/500" in text
    assert re.search(r"\d:\d\d:\d\d", text)


def test_a_reader_that_has_enough_ends_it_quietly(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("apple\n" * 3000, "utf-8")
    options = ["-i", tmp_path / "in.txt", "--model", tiny_model, "--tasks", TASKS_FILE, "--batch", "10"]
    with subprocess.Popen([*COMMAND, *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_no_more_rows_are_read_than_are_about_to_be_annotated() -> None:
    read: list[int] = []

    class Echo(Engine):
        labels, version = {}, ""
        texts, calls = 4, 2

        def __call__(self, texts: Sequence[str]) -> list[Annotation]:
            return [{text: {}} for text in texts]

    def items() -> Any:
        for number in range(1000):
            read.append(number)
            yield str(number), {"text": str(number)}

    stream = bulk.annotated(Echo(), items())
    batch, annotations = next(stream)
    assert len(read) == 12
    assert [row["text"] for row in batch] == [next(iter(annotation)) for annotation in annotations] == list("0123")
    rest = [row["text"] for batch, _ in stream for row in batch]
    assert rest == [str(number) for number in range(4, 1000)]
