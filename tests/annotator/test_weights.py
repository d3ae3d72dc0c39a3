"""`annotator train`, `evaluate`, `export` and `import-deeppavlov`, thin over training/."""

import json
import sys
from pathlib import Path

import pytest

from graph.model_directory import ModelDirectory
from graph.pipeline import load_pipeline
from graph.tasks import load_tasks
from tests import ROOT, TASKS_FILE
from tests.annotator.conftest import Run
from tests.tiny import TASKS, tiny_recipe, write_data, write_recipe, write_tasks
from training.evaluate import as_plain, score_split

GOLDEN = ROOT / "tests" / "training" / "golden" / "bert"


@pytest.fixture
def trained(run: Run, tiny_base: Path, tmp_path: Path) -> Path:
    """A folder in which `annotator train` has trained tasks of one's own: data, tasks.yaml, recipe.yaml, model, run."""
    write_data(tmp_path / "data")
    write_tasks(tmp_path / "tasks.yaml")
    write_recipe(tmp_path / "recipe.yaml", tiny_recipe(tiny_base))
    common = ["--config", tmp_path / "recipe.yaml", "--tasks", tmp_path / "tasks.yaml", "--work", tmp_path / "run"]
    ended = run("train", tmp_path / "data", *common, "--out", tmp_path / "model")
    assert ended.status == 0, ended.err
    return tmp_path


@pytest.mark.slow
def test_other_tasks_are_trained_evaluated_exported_and_annotated(run: Run, trained: Path) -> None:
    tasks = ["--tasks", trained / "tasks.yaml"]
    model = ModelDirectory.open(trained / "model", trained / "tasks.yaml")
    assert model.tasks == TASKS
    expected = as_plain(score_split(load_pipeline(model), trained / "data", "test"))

    options = ["--model", model.path, *tasks, "--threads", 1]
    ended = run("evaluate", trained / "data", *options, "--json", "--confusion", trained / "pictures")
    assert json.loads(ended.out) == expected
    pictures = sorted((trained / "pictures").iterdir())
    assert [path.name for path in pictures] == sorted(f"{task.name}.png" for task in TASKS)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)

    shown = run("evaluate", trained / "data", *options, "--by-origin").out
    for task in TASKS:
        assert f"{100 * expected[task.name]['all']['accuracy']:.1f}" in shown
    assert "written" in shown
    assert "mean" in shown

    resumed = ["--config", trained / "recipe.yaml", "--work", trained / "run", "--resume", "--out", trained / "resumed"]
    ended = run("train", trained / "data", *resumed, *tasks, "--json")
    assert ended.status == 0, ended.err
    told = json.loads(ended.out)
    version = ModelDirectory.open(trained / "resumed", trained / "tasks.yaml").version
    assert (told["model"], told["version"]) == (str(trained / "resumed"), version)
    assert told["scores"]["test"] == expected
    assert "resumed after step" in ended.err

    again = ["--config", trained / "recipe.yaml", "--work", trained / "run", "--out", trained / "exported"]
    ended = run("export", trained / "data", *again, *tasks, "--json")
    assert ended.status == 0, ended.err
    assert json.loads(ended.out) == expected
    exported = ModelDirectory.open(trained / "exported", trained / "tasks.yaml")
    assert exported.manifest.files["heads.safetensors"] == model.manifest.files["heads.safetensors"]

    ended = run("annotate", "apple", "--json", "--model", exported.path, *tasks)
    assert list(json.loads(ended.out)["tasks"]) == [task.name for task in TASKS]

    ended = run("train", trained / "data", "--config", trained / "recipe.yaml", *tasks, "--work", trained / "run")
    assert (ended.status, ended.err.count("\n")) == (1, 1)
    assert "add --resume to go on" in ended.err


@pytest.mark.slow
def test_an_export_is_the_same_mean_with_other_weights_as_the_runs_own(
    run: Run, trained: Path, tiny_base: Path
) -> None:
    recipe = trained / "kept.yaml"
    write_recipe(
        recipe, tiny_recipe(tiny_base, start=trained / "model", layers=None, mean_with={trained / "model": 0.5})
    )
    common = ["--config", recipe, "--tasks", trained / "tasks.yaml", "--work", trained / "kept"]
    files = []
    for command in ("train", "export"):
        ended = run(command, trained / "data", *common, "--out", trained / command)
        assert ended.status == 0, ended.err
        files.append(ModelDirectory.open(trained / command, trained / "tasks.yaml").manifest.files)
    assert files[0] == files[1]
    ended = run("export", trained / "data", *common, "--out", trained / "model")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "name another --out" in ended.err


def test_a_head_is_trained_and_the_way_to_serve_it_is_told(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    table = tmp_path / "wish.tsv"
    texts = [(f"coffee {n}", "drink") for n in range(12)] + [(f"bread {n}", "eat") for n in range(12)]
    table.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in texts), "utf-8")
    out = tmp_path / "grown"
    ended = run("train", "--head", "wish", table, "--model", tiny_model, "--tasks", TASKS_FILE, "--out", out)
    assert ended.status == 0, ended.err
    last = ended.out.splitlines()[-1]
    assert last == f"annotator serve --model {out} --tasks {tmp_path}/grown.tasks.yaml"
    model = ModelDirectory.open(out, tmp_path / "grown.tasks.yaml")
    assert model.tasks[-1].labels == ("drink", "eat")
    assert "test" in ended.out

    again = tmp_path / "again"
    ended = run(
        "train", "--head", "wish", table, "--model", tiny_model, "--tasks", TASKS_FILE, "--out", again, "--json"
    )
    assert ended.status == 0, ended.err
    told = json.loads(ended.out)
    assert (told["model"], told["tasks"]) == (str(again), f"{again}.tasks.yaml")
    assert told["version"] == ModelDirectory.open(again, Path(told["tasks"])).version
    wish = {split: of_split["wish"] for split, of_split in model.manifest.scores.items()}
    assert told["scores"] == {split: {"wish": scores} for split, scores in wish.items()}
    assert set(wish) == {"valid", "test"}
    assert "24 texts, 2 labels" in ended.err

    ended = run("train", "--head", "wish", table, "--model", tiny_model, "--tasks", TASKS_FILE, "--out", out)
    assert (ended.status, ended.err) == (1, f"annotator: {out} exists already: remove it, or name another place\n")
    ended = run(
        "train", "--head", load_tasks(TASKS_FILE)[0].name, table, "--model", tiny_model, "--out", tmp_path / "n"
    )
    assert (ended.status, ended.err.count("\n")) == (1, 1)


def test_first_mistakes_are_one_line(run: Run, tmp_path: Path, tiny_model: Path) -> None:
    none, empty, bad = tmp_path / "none", tmp_path / "empty", tmp_path / "bad"
    empty.mkdir()
    bad.write_text("{no: [yaml", "utf-8")
    table = tmp_path / "rows.tsv"
    table.write_text("text\tlabel\nbread\teat\ntea\tdrink\n", "utf-8")
    head: list[object] = ["train", table, "--model", tiny_model, "--tasks", TASKS_FILE, "--head"]
    imported: list[object] = ["import-deeppavlov", bad, "--backbone", empty, "--out", tmp_path / "out"]
    mistakes: list[tuple[list[object], int, str]] = [
        (["train", none], 2, f"no folder {none}"),
        (["train", empty, "--config", none], 2, f"file '{none}' does not exist"),
        (["train", empty, "--config", bad], 1, f"{bad} is no recipe"),
        (["train", empty, "--tasks", none], 2, f"file '{none}' does not exist"),
        (["train", empty], 2, "train.tsv.gz: No such file or directory"),
        (["train", empty, "--model", tiny_model], 2, "--model goes with --head"),
        (["train", empty, "--threads", 1], 2, "--threads goes with --head"),
        ([*head, "wish", "--config", bad], 2, "--config goes without --head"),
        ([*head, "wish", "--work", empty], 2, "--work goes without --head"),
        ([*head, "wish", "--resume"], 2, "--resume goes without --head"),
        ([*head, "my/wish"], 1, "'my/wish' is no name of a task: letters, digits and _ only"),
        (["train", "--head", "wish", none], 2, f"no file {none}: --head takes a TSV file"),
        (["evaluate", none], 2, f"no folder {none}"),
        (["evaluate", empty, "--model", none], 2, f"no model directory at {none}"),
        (["evaluate", empty, "--model", tiny_model], 2, "No such file or directory"),
        (["evaluate", empty, "--split", "exam"], 2, "exam"),
        (["export", none], 2, f"no folder {none}"),
        (["export", empty, "--work", none], 2, f"no training run at {none}"),
        (["import-deeppavlov", none, "--backbone", empty, "--out", empty], 2, f"file '{none}' does not exist"),
        (["import-deeppavlov", bad, "--backbone", none, "--out", empty], 2, f"dir '{none}' does not exist"),
        (["import-deeppavlov", none], 2, "does not exist"),
        (imported, 1, f"{bad} is damaged, or holds more than tensors and plain data"),
    ]
    for arguments, status, said in mistakes:
        ended = run(*arguments)
        assert (ended.status, ended.err.count("\n"), ended.out) == (status, 1, ""), (arguments, ended)
        assert said in ended.err
    assert not list(tmp_path.glob("*wish*"))


def test_a_variable_without_sense_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table = tmp_path / "rows.tsv"
    table.write_text("text\tlabel\n", "utf-8")
    monkeypatch.setenv("ANNOTATOR_MAX_TOKENS", "x")
    ended = run("train", "--head", "wish", table)
    assert (ended.status, ended.err.count("\n"), ended.out) == (1, 1, "")
    assert "ANNOTATOR_MAX_TOKENS in the environment: Input should be a valid integer" in ended.err


@pytest.mark.slow
def test_a_deeppavlov_checkpoint_is_imported(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "imported"
    ended = run("import-deeppavlov", GOLDEN / "model.pth.tar", "--backbone", GOLDEN / "backbone", "--out", out)
    assert ended.status == 0, ended.err
    ModelDirectory.open(out, TASKS_FILE).verify()


def test_training_without_its_packages_says_which_to_install(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    ended = run("evaluate", tmp_path)
    assert (ended.status, ended.err.count("\n")) == (1, 1)
    assert "make .venv/all.installed in the project's folder brings it" in ended.err
