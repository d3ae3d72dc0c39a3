import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from graph.heads import load_heads
from graph.model_directory import FORMAT_VERSION, ModelDirectory
from graph.tasks import load_tasks
from tests import TASKS_FILE
from tests.graph.damage import assert_refused, edit_manifest, flip_a_bit, truncate, vouch_for
from tests.tiny import write_tasks

FILES = ("config.json", "encoder.onnx", "encoder.safetensors", "heads.safetensors", "tokenizer.json")


def test_an_intact_directory_opens_and_verifies(tiny_model: Path) -> None:
    model = ModelDirectory.open(tiny_model, TASKS_FILE)
    model.verify()
    assert model.tasks == load_tasks(TASKS_FILE)
    assert sorted(model.manifest.files) == list(FILES)
    assert model.file("config.json") == tiny_model / "config.json"


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nowhere"
    assert_refused(lambda: ModelDirectory.open(path, TASKS_FILE), "no model directory", str(path))


def test_a_directory_without_a_manifest_is_refused(model_path: Path) -> None:
    (model_path / "manifest.json").unlink()
    assert_refused(lambda: ModelDirectory.open(model_path, TASKS_FILE), "cannot read manifest.json", str(model_path))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_a_manifest_that_is_not_json_is_refused(model_path: Path, content: bytes) -> None:
    (model_path / "manifest.json").write_bytes(content)
    assert_refused(lambda: ModelDirectory.open(model_path, TASKS_FILE), "cannot read manifest.json", str(model_path))


@pytest.mark.parametrize("content", ["[]", "{}", "null", f'{{"format_version": {FORMAT_VERSION + 1}}}'])
def test_another_format_version_is_refused(model_path: Path, content: str) -> None:
    (model_path / "manifest.json").write_text(content, "utf-8")
    assert_refused(lambda: ModelDirectory.open(model_path, TASKS_FILE), "format version", str(FORMAT_VERSION))


def test_a_manifest_that_lacks_a_field_is_refused_by_the_fields_name(model_path: Path) -> None:
    edit_manifest(model_path, lambda manifest: manifest.pop("hidden_size"))
    assert_refused(lambda: ModelDirectory.open(model_path, TASKS_FILE), "manifest.json: hidden_size")


def test_a_manifest_with_an_unknown_field_is_refused_by_the_fields_name(model_path: Path) -> None:
    edit_manifest(model_path, lambda manifest: manifest.update(colour="red"))
    assert_refused(lambda: ModelDirectory.open(model_path, TASKS_FILE), "manifest.json: colour")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (flip_a_bit, "is not the file that its manifest describes"),
        (truncate, "is not the file that its manifest describes"),
        (Path.unlink, "cannot read"),
    ],
)
def test_a_damaged_file_is_refused_by_its_name(
    model_path: Path, name: str, damage: Callable[[Path], None], says: str
) -> None:
    damage(model_path / name)
    model = ModelDirectory.open(model_path, TASKS_FILE)
    assert_refused(model.verify, name, says, str(model_path))
    assert_refused(lambda: model.file(name), name, says, str(model_path))


def test_a_file_that_the_manifest_does_not_list_is_refused(model_path: Path) -> None:
    (model_path / "notes.txt").write_text("hello", "utf-8")
    model = ModelDirectory.open(model_path, TASKS_FILE)
    assert_refused(lambda: model.file("notes.txt"), "lists no notes.txt")


def test_tensors_that_cannot_be_read_are_refused(model_path: Path) -> None:
    (model_path / "heads.safetensors").write_bytes(b"not tensors")
    vouch_for(model_path, "heads.safetensors")
    model = ModelDirectory.open(model_path, TASKS_FILE)
    assert_refused(lambda: model.load_tensors("heads.safetensors"), "cannot read heads.safetensors")


@pytest.fixture
def own_tasks_file(tmp_path: Path) -> Path:
    """A copy of the task file that a test may alter."""
    return Path(shutil.copy(TASKS_FILE, tmp_path / "tasks.yaml"))


def edit_first_task(path: Path, edit: Callable[[dict[str, Any]], object]) -> str:
    content = yaml.safe_load(path.read_text("utf-8"))
    edit(content["tasks"][0])
    path.write_text(yaml.safe_dump(content), "utf-8")
    return str(content["tasks"][0]["name"])


@pytest.mark.parametrize(
    "edit",
    [
        lambda task: task["labels"].reverse(),
        lambda task: task["labels"].pop(),
        lambda task: task["labels"].append("another"),
        lambda task: task.update(kind="multi"),
    ],
    ids=["order", "fewer", "more", "kind"],
)
def test_labels_or_kind_other_than_the_task_files_are_refused_by_the_tasks_name(
    model_path: Path, own_tasks_file: Path, edit: Callable[[dict[str, Any]], object]
) -> None:
    name = edit_first_task(own_tasks_file, edit)
    assert_refused(lambda: ModelDirectory.open(model_path, own_tasks_file), name, "other labels or kind")


def test_a_task_without_a_head_is_refused_by_its_name(model_path: Path, own_tasks_file: Path) -> None:
    name = edit_first_task(own_tasks_file, lambda task: task.update(name="another_task"))
    assert_refused(lambda: ModelDirectory.open(model_path, own_tasks_file), f"no head for task {name}")


def test_a_head_that_the_manifest_promises_and_the_file_lacks_is_refused(model_path: Path, tmp_path: Path) -> None:
    shutil.copy(model_path / "encoder.safetensors", model_path / "heads.safetensors")
    vouch_for(model_path, "heads.safetensors")
    model = ModelDirectory.open(model_path, TASKS_FILE)
    assert_refused(lambda: load_heads(model), model.tasks[0].name, str(model_path))


def test_a_task_file_may_ask_for_some_of_the_heads_in_its_own_order(tiny_model: Path, tmp_path: Path) -> None:
    tasks = load_tasks(TASKS_FILE)
    chosen = (tasks[4], tasks[1])
    write_tasks(tmp_path / "tasks.yaml", chosen)
    model = ModelDirectory.open(tiny_model, tmp_path / "tasks.yaml")
    assert model.tasks == chosen
    assert list(load_heads(model)) == [task.name for task in chosen]


def test_the_version_names_exactly_these_weights(model_path: Path) -> None:
    version = ModelDirectory.open(model_path, TASKS_FILE).version
    assert len(version) == 12
    assert ModelDirectory.open(model_path, TASKS_FILE).version == version
    flip_a_bit(model_path / "heads.safetensors")
    vouch_for(model_path, "heads.safetensors")
    assert ModelDirectory.open(model_path, TASKS_FILE).version != version
