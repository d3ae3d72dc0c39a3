import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.checkpoint import write_checkpoint
from graph.model_directory import ModelDirectory
from graph.pipeline import load_pipeline
from tests import TASKS_FILE
from tests.tiny import write_tiny_model
from training.import_deeppavlov import import_checkpoint


@pytest.fixture
def model(tmp_path: Path) -> ModelDirectory:
    write_tiny_model(tmp_path / "model", TASKS_FILE, pooling="cls")
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text("utf-8"))
    manifest["temperatures"] = {name: 0.5 + i for i, name in enumerate(manifest["temperatures"])}
    (tmp_path / "model" / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return ModelDirectory.open(tmp_path / "model", TASKS_FILE)


def test_the_checkpoint_imported_back_gives_the_scores_of_the_model(model: ModelDirectory, tmp_path: Path) -> None:
    place = tmp_path / "place"
    write_checkpoint(model, 32, place)
    import_checkpoint(place / "model.pth.tar", place / "backbone", TASKS_FILE, place / "imported")
    texts = ["i love you", "who painted it", ""]
    expected = load_pipeline(model).probabilities(texts)
    imported = load_pipeline(ModelDirectory.open(place / "imported", TASKS_FILE)).probabilities(texts)
    for name, scores in expected.items():
        np.testing.assert_allclose(imported[name], scores, rtol=0, atol=1e-5)


def test_deeppavlov_finds_all_that_it_asks_for(model: ModelDirectory, tmp_path: Path) -> None:
    write_checkpoint(model, 32, tmp_path / "place")
    preprocessor, classifier = json.loads((tmp_path / "place" / "chainer.json").read_text("utf-8"))["chainer"]["pipe"]
    assert preprocessor["max_seq_length"] == 32
    assert Path(preprocessor["vocab_file"], "tokenizer.json").is_file()
    assert Path(classifier["backbone_model"], "model.safetensors").is_file()
    assert [(name, task["options"]) for name, task in classifier["tasks"].items()] == [
        (task.name, len(task.labels)) for task in model.tasks
    ]
    content = torch.load(f"{classifier['load_path']}.pth.tar", weights_only=True)
    assert {"model_state_dict", "optimizer_state_dict"} <= content.keys()
