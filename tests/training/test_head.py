import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from graph.errors import GraphError
from graph.model_directory import ModelDirectory
from graph.pipeline import Pipeline, load_pipeline
from graph.tasks import Task, load_tasks
from tests import ROOT, TASKS_FILE
from training import head
from training.data import Row
from training.evaluate import as_plain, score_rows
from training.head import fit_head, read_table, split_rows, tasks_file_beside, train_head

MARKERS = {"drink": "coffee please", "eat": "bread for me", "leave": "time to go home"}


def write_table(path: Path, per_label: int = 20, labels: tuple[str, ...] = tuple(MARKERS)) -> Path:
    lines = [f"{MARKERS[label]} number {i}\t{label}" for i in range(per_label) for label in labels]
    path.write_text("\n".join(["text\tlabel", *lines]) + "\n", "utf-8")
    return path


def quiet(line: str) -> None:
    pass


@pytest.fixture(scope="module")
def grown(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `tiny_model` with a head of one's own."""
    folder = tmp_path_factory.mktemp("grown")
    out = folder / "models" / "grown"
    train_head("wish", write_table(folder / "wish.tsv"), tiny_model, TASKS_FILE, out, report=quiet)
    return out


def test_the_head_is_served_behind_the_others_which_keep_their_numbers(
    grown: Path, tiny_model: Path, tiny_pipeline: Pipeline
) -> None:
    model = ModelDirectory.open(grown, tasks_file_beside(grown))
    model.verify()
    pipeline = load_pipeline(model)
    texts = ["bread for me number 99", "coffee please", "", "time to go"]
    for larger, before in zip(pipeline(texts), tiny_pipeline(texts), strict=True):
        assert list(larger) == [*before, "wish"]
        assert {name: larger[name] for name in before} == before
    assert [max(a["wish"], key=lambda label: a["wish"][label]) for a in pipeline(texts[:2])] == ["eat", "drink"]
    assert len(load_tasks(TASKS_FILE)) + 1 == len(load_tasks(tasks_file_beside(grown)))
    # The task file that it came from still fits the larger directory.
    ModelDirectory.open(grown, TASKS_FILE)


def test_the_manifest_tells_of_the_head(grown: Path, tiny_model: Path) -> None:
    model = ModelDirectory.open(grown, tasks_file_beside(grown))
    before = ModelDirectory.open(tiny_model, TASKS_FILE)
    manifest = model.manifest
    assert manifest.name == "grown"
    assert manifest.tasks[:-1] == before.manifest.tasks
    assert (manifest.tasks[-1].name, manifest.tasks[-1].labels) == ("wish", ("drink", "eat", "leave"))
    assert 0.5 <= manifest.temperatures["wish"] <= 4
    assert manifest.data[-1] == {"task": "wish", "origin": "unnamed", "rows": 42, "licence": "not stated"}
    assert manifest.training["heads"]["wish"]["on"] == before.version
    changed = {name for name, digest in manifest.files.items() if digest != before.manifest.files[name]}
    assert changed == {"heads.safetensors"}
    for split in ("valid", "test"):
        assert manifest.scores[split]["wish"]["all"]["rows"] == 9
        assert manifest.scores[split]["wish"]["all"]["accuracy"] > 0.8


def test_the_scores_in_the_manifest_are_those_of_what_is_served(grown: Path, tmp_path: Path) -> None:
    model = ModelDirectory.open(grown, tasks_file_beside(grown))
    labels, rows = read_table(write_table(tmp_path / "again.tsv"))
    test = split_rows(rows, labels, seed=1)["test"]
    task = model.tasks[-1]
    assert (
        as_plain({"wish": score_rows(load_pipeline(model), task, test)})["wish"]
        == model.manifest.scores["test"]["wish"]
    )


@pytest.mark.parametrize("labels", [("drink", "eat"), ("drink", "eat", "leave")])
def test_the_head_is_the_regression(
    tiny_pipeline: Pipeline, tmp_path: Path, labels: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, rows = read_table(write_table(tmp_path / "wish.tsv", labels=labels))
    splits = split_rows(rows, labels, seed=1)
    monkeypatch.setattr(head, "STRENGTHS", (1.0,))
    fit = fit_head(Task(name="wish", labels=labels, kind="single"), tiny_pipeline, splits)
    twice = [row for row in splits["train"] for _ in range(2)]
    regression = LogisticRegression(C=1.0, max_iter=2000, tol=1e-3)
    regression.fit(tiny_pipeline.pooled([row.text for row in twice]), [row.label for row in twice])
    vectors = tiny_pipeline.pooled([row.text for row in splits["test"]])
    logits = np.log(fit.head.probabilities(vectors)) * fit.head.temperature
    unscaled = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert unscaled == pytest.approx(regression.predict_proba(vectors), abs=1e-3)


def test_splits_share_no_text_and_each_has_every_label(tmp_path: Path) -> None:
    table = write_table(tmp_path / "wish.tsv", per_label=3)
    lines = table.read_text("utf-8").splitlines()
    shouted = [f"{text.upper()}!\t{label}" for text, label in (line.split("\t") for line in lines[1:])]
    table.write_text("\n".join(lines + shouted), "utf-8")
    labels, rows = read_table(table)
    splits = split_rows(rows, labels, seed=1)
    assert {split: sorted(row.label for row in part) for split, part in splits.items()} == {
        "train": [0, 1, 2],
        "valid": [0, 1, 2],
        "test": [0, 1, 2],
    }
    texts = [row.text for part in splits.values() for row in part]
    assert len(set(texts)) == len(texts) == 9
    assert split_rows(rows, labels, seed=1) == splits
    assert split_rows(rows, labels, seed=2) != splits


def test_a_table_is_read_with_what_spreadsheets_do_to_it(tmp_path: Path) -> None:
    path = tmp_path / "table.tsv"
    path.write_bytes(
        b"\xef\xbb\xbflabel\torigin\ttext\r\neat\tchat\tBread!\r\n\r\ndrink\twritten\ttea\r\neat\tchat\tbread\r\n"
    )
    assert read_table(path) == (("drink", "eat"), [Row("Bread!", 1, "chat"), Row("tea", 0, "written")])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no column text"),
        ("text,label\nhi,a\n", "no column text: its first line, split at tabs, is: text,label"),
        ("text\tclass\nhi\ta\n", "no column label: its first line, split at tabs, is: text, class"),
        ("text\tlabel\nhi\n", "line 2: expected text, label"),
        ("text\tlabel\nhi\ta\nho\t\n", "line 3: expected text, label"),
        ("text\tlabel\nhi\ta\nho\ta\nhu\ta\n", "two labels at least, the table has 1"),
        ("text\tlabel\nhi\ta\nho\ta\nhu\ta\nhe\tb\n", "label b has 1 different texts, 3 is the least"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tiny_model: Path, tmp_path: Path, content: str, said: str) -> None:
    table = tmp_path / "table.tsv"
    table.write_text(content, "utf-8")
    out = tmp_path / "models" / "out"
    with pytest.raises(ValueError, match=said):
        train_head("wish", table, tiny_model, TASKS_FILE, out, report=quiet)
    assert not out.parent.exists()


def test_other_mistakes_are_said(tiny_model: Path, tmp_path: Path) -> None:
    table = write_table(tmp_path / "wish.tsv")
    taken = load_tasks(TASKS_FILE)[0].name
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=f"has a task {taken} already"):
        train_head(taken, table, tiny_model, TASKS_FILE, out, report=quiet)
    with pytest.raises(ValueError, match="'my wish' is no name of a task"):
        train_head("my wish", table, tiny_model, TASKS_FILE, out, report=quiet)
    with pytest.raises(FileNotFoundError, match=r"none\.tsv"):
        train_head("wish", tmp_path / "none.tsv", tiny_model, TASKS_FILE, out, report=quiet)
    with pytest.raises(GraphError, match="no model directory"):
        train_head("wish", table, tmp_path / "none", TASKS_FILE, out, report=quiet)
    (tmp_path / "binary.tsv").write_bytes(b"text\tlabel\n\xff\ta\n")
    with pytest.raises(ValueError, match="not UTF-8"):
        train_head("wish", tmp_path / "binary.tsv", tiny_model, TASKS_FILE, out, report=quiet)
    out.mkdir()
    with pytest.raises(ValueError, match="exists already"):
        train_head("wish", table, tiny_model, TASKS_FILE, out, report=quiet)


def test_a_run_that_fails_at_the_end_leaves_nothing(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(head, "score_rows", fail)
    with pytest.raises(OSError, match="no space left"):
        train_head(
            "wish", write_table(tmp_path / "w.tsv"), tiny_model, TASKS_FILE, tmp_path / "m" / "out", report=quiet
        )
    assert list((tmp_path / "m").iterdir()) == []


def test_torch_is_not_needed() -> None:
    program = "import sys, training.head; print({'torch', 'transformers'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout == "set()\n"
