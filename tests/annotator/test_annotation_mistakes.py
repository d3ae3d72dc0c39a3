"""What `annotator annotate` refuses, or is refused: one line each."""

import sys
from pathlib import Path

import pytest

from graph.tasks import load_tasks
from tests import TASKS_FILE
from tests.annotator.conftest import Run

FIRST = load_tasks(TASKS_FILE)[0].name


@pytest.mark.parametrize(
    ("name", "content", "options", "said"),
    [
        ("in.csv", "id,utterance\n1,hi\n", [], "no column text; there are: id, utterance; --column names one"),
        ("in.csv", "id,text\n1,hi\n", ["-c", "body"], "no column body; there are: id, text; --column names one"),
        ("in.csv", "id,text\n1,hi\n2\n", [], "in.csv, line 3: not 2 columns as in line 1"),
        ("in.csv", "id,text\n1,hi,ho\n", [], "in.csv, line 2: not 2 columns as in line 1"),
        ("in.jsonl", '{"text": "hi"}\n{"text": 5}\n', [], "in.jsonl, line 2: column text holds no text: 5"),
        ("in.jsonl", '{"text": "hi"}\n{"body": "ho"}\n', ["-c", "text"], "line 2: no column text; there are: body"),
        ("in.jsonl", '"hi"\n{"text"', [], "in.jsonl, line 2: no JSON"),
        ("in.jsonl", "[1]", [], "line 1: neither a JSON object nor a string"),
        ("in.parquet", "no parquet", [], "in.parquet is no Parquet file that can be read"),
        ("in.txt", "", [], "nothing to annotate: there are no rows"),
        ("in.xlsx", "hi", [], "what format is this? --format takes txt, csv, tsv, jsonl, parquet"),
        ("in.txt", "hi", ["-t", "mood"], f"no task mood; there are: {FIRST}"),
    ],
)
def test_what_is_wrong_with_the_input_is_one_line(
    annotate: Run, tmp_path: Path, name: str, content: str, options: list[str], said: str
) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    ended = annotate("-i", tmp_path / name, "-o", tmp_path / "out.jsonl", *options)
    assert ended.status == 2
    assert said in ended.err
    assert ended.err.startswith("annotator: ")
    assert ended.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_text_that_is_not_utf_8_is_one_line(annotate: Run, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(b"caf\xe9\n")
    ended = annotate("-i", tmp_path / "in.txt")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "in.txt is not UTF-8 text" in ended.err


def test_other_first_mistakes_are_one_line(annotate: Run, run: Run, tmp_path: Path) -> None:
    text = tmp_path / "in.txt"
    text.write_text("hi\n", "utf-8")
    taken = tmp_path / "taken.csv"
    taken.write_text("mine\n", "utf-8")
    with_task = tmp_path / "with_task.csv"
    with_task.write_text(f"text,{FIRST}\nhi,x\n", "utf-8")
    mistakes: list[tuple[list[object], int, str]] = [
        (["-i", tmp_path / "none.txt"], 2, f"no file {tmp_path}/none.txt"),
        (["-i", tmp_path], 2, f"{tmp_path} is a folder"),
        ([text], 2, f"is a file: --input {text} annotates its lines"),
        (["hi", text, taken], 2, f"{text} is a file: --input {text} annotates its lines"),
        (["hi", "-i", text], 2, "texts or --input, not both"),
        (["-i", text, "-o", taken], 2, "exists already: --overwrite replaces it"),
        (["-i", text, "-o", tmp_path / "out.xlsx"], 2, "its name must end in one of .jsonl, .csv, .tsv, .parquet"),
        (["-i", text, "-o", tmp_path / "no" / "out.csv"], 2, f"no folder {tmp_path}/no"),
        (["-i", text, "--resume"], 2, "--resume needs --input FILE and --out FILE"),
        (["-i", with_task, "-o", tmp_path / "out.csv"], 2, f"have a column {FIRST} already; rename it"),
        (["hi", "--url", "localhost:8000"], 1, "begins with http:// or https://"),
        (["hi", "--url", "http://localhost:80O0"], 1, "http://localhost:80O0 is no address of a service"),
        (["hi", "--batch", "0"], 2, "--batch"),
        (["hi", "--no-such"], 2, "--no-such"),
    ]
    for arguments, status, said in mistakes:
        ended = annotate(*arguments)
        assert (ended.status, ended.err.count("\n"), ended.out) == (status, 1, ""), (arguments, ended)
        assert said in ended.err
    ended = run("annotate", "hi", "--model", tmp_path / "none")
    assert (ended.status, ended.err) == (2, f"annotator: no model directory at {tmp_path}/none\n")
    assert taken.read_text() == "mine\n"
    assert annotate("-i", text, "-o", taken, "--overwrite", "-t", FIRST).status == 0
    assert taken.read_text().startswith(f"text,{FIRST},{FIRST}.score")


def test_a_package_that_is_not_installed_is_named(
    annotate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ended = annotate("hi", "-o", tmp_path / "out.parquet")
    assert (ended.status, ended.err.count("\n")) == (1, 1)
    assert "this needs pyarrow: make .venv/all.installed in the project's folder brings it" in ended.err
