import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from graph.model_directory import FORMAT_VERSION, ModelDirectory
from graph.pipeline import load_pipeline
from tests import TASKS_FILE
from tests.tiny import ARCHITECTURES, ORIGINS, TASKS, Architecture, tiny_recipe, write_base
from training.data import read_training_rows
from training.evaluate import as_plain, score_split
from training.export import export
from training.manifest import LICENCES
from training.model import build_model


def read_manifest(path: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((path / "manifest.json").read_text("utf-8"))
    return manifest


def test_the_manifest_vouches_for_every_file(tiny_model: Path) -> None:
    manifest = read_manifest(tiny_model)
    others = [path for path in tiny_model.iterdir() if path.name != "manifest.json"]
    assert len(others) == 5
    assert manifest["files"] == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in others}
    assert manifest["format_version"] == FORMAT_VERSION


def test_the_manifest_names_tasks_and_labels_in_contract_order(tiny_model: Path) -> None:
    tasks = ModelDirectory.open(tiny_model, TASKS_FILE).tasks
    manifest = read_manifest(tiny_model)
    assert manifest["tasks"] == [{"name": task.name, "labels": list(task.labels), "kind": task.kind} for task in tasks]
    assert list(manifest["temperatures"]) == [task.name for task in tasks]


def test_the_encoder_is_stored_in_float16_and_the_heads_in_float32(tiny_model: Path) -> None:
    for file, dtype in (("encoder.safetensors", torch.float16), ("heads.safetensors", torch.float32)):
        assert {tensor.dtype for tensor in load_file(tiny_model / file).values()} == {dtype}


def test_the_encoders_configuration_does_not_say_where_the_base_lay(tiny_model: Path) -> None:
    assert not json.loads((tiny_model / "config.json").read_text("utf-8"))["_name_or_path"]


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_export_is_complete_and_scored_as_it_will_be_served(
    tmp_path: Path, tiny_data: Path, tiny_tasks_file: Path, architecture: Architecture
) -> None:
    base, out = tmp_path / "base", tmp_path / "models" / "tiny"
    write_base(base, architecture)
    recipe = tiny_recipe(base, layers=[1], leave_out=["template"], pooling="cls")
    rows = read_training_rows(tiny_data, TASKS, recipe)
    scores = export(build_model(TASKS, recipe), rows, recipe, tiny_tasks_file, tiny_data, out)

    model = ModelDirectory.open(out, tiny_tasks_file)
    model.verify()
    served = load_pipeline(model)
    assert scores == {split: score_split(served, tiny_data, split) for split in ("valid", "test")}

    manifest = read_manifest(out)
    assert manifest["scores"] == {split: as_plain(of_split) for split, of_split in scores.items()}
    assert {part for of_split in scores.values() for parts in of_split.values() for part in parts} == {"all", *ORIGINS}
    assert manifest["data"] == [
        {"task": task.name, "origin": origin, "rows": 12, "licence": licence}
        for task in TASKS
        for origin, licence in (("made_up", "not stated"), ("written", "own"))
    ]
    expected = recipe.model_dump(mode="json")
    expected["base"]["directory"] = "base"  # its name, and not where it lay
    assert manifest["training"] == expected
    assert manifest["base_model"]["licence"] == "own"
    assert manifest["base_model"]["layers"] == [1]
    assert manifest["pooling"] == "cls"


def test_every_origin_of_the_licence_file_has_a_licence_in_words() -> None:
    licences = yaml.safe_load(LICENCES.read_text("utf-8"))
    assert all(isinstance(text, str) and text for pair in licences.items() for text in pair)
