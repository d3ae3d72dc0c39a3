"""What the import of a DeepPavlov checkpoint gives."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from graph.encoder import RuntimeName
from graph.model_directory import ModelDirectory
from graph.pipeline import load_pipeline
from tests import TASKS_FILE
from tests.tiny import ARCHITECTURES, Architecture
from tests.training.deeppavlov_place import GOLDEN, HEAD, Place
from training import import_deeppavlov


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[Architecture, Place]:
    """Both checkpoints, imported. Shared: nothing alters them."""
    places = {name: Place.make(tmp_path_factory.mktemp("imported") / name, name) for name in ARCHITECTURES}
    for place in places.values():
        place.run()
    return places


def weights_of(checkpoint: Path) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = torch.load(checkpoint, weights_only=True)["model_state_dict"]
    return weights


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_an_imported_model_answers_as_deeppavlov_did(
    imported: dict[Architecture, Place], architecture: Architecture, runtime: RuntimeName
) -> None:
    expected = json.loads((GOLDEN / architecture / "expected.json").read_text("utf-8"))
    items = expected["items"]
    assert len(items) == 50
    model = ModelDirectory.open(imported[architecture].out, TASKS_FILE)
    model.verify()
    pipeline = load_pipeline(model, runtime)
    assert {task.name: list(task.labels) for task in pipeline.tasks} == expected["tasks"]

    tokens = pipeline.tokenizer([item["text"] for item in items])
    rows = np.split(tokens.ids, np.cumsum(tokens.lengths)[:-1])
    assert [row.tolist() for row in rows] == [item["input_ids"] for item in items]
    assert max(tokens.lengths) == expected["max_seq_length"]

    pooled = pipeline.encoder(tokens)
    for name, head in pipeline.heads.items():
        wanted = np.array([item["probas"][name] for item in items])  # before the rule, rounded to 6 decimals
        np.testing.assert_allclose(head.probabilities(pooled), wanted, rtol=0, atol=1e-5)

    scores = pipeline.probabilities([item["text"] for item in items])
    rounded = {name: np.round(probabilities.astype(np.float64), 2).tolist() for name, probabilities in scores.items()}
    assert [{name: rows[i] for name, rows in rounded.items()} for i in range(50)] == [item["answer"] for item in items]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_weights_are_those_of_the_checkpoint_bit_for_bit(
    imported: dict[Architecture, Place], architecture: Architecture
) -> None:
    place = imported[architecture]
    original = weights_of(place.checkpoint)
    encoder, heads = (load_file(place.out / f"{part}.safetensors") for part in ("encoder", "heads"))
    assert len(encoder) + len(heads) == len(original)
    for name, tensor in encoder.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, original["bert." + name.removeprefix("backbone.")])
    for i, task in enumerate(ModelDirectory.open(place.out, TASKS_FILE).tasks):
        for part in ("weight", "bias"):
            assert torch.equal(heads[f"{task.name}.{part}"], original[f"{HEAD}.{i}.{part}"])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_graph_refers_to_float32_weights_without_a_cast(
    imported: dict[Architecture, Place], architecture: Architecture
) -> None:
    out = imported[architecture].out
    graph = onnx.load(str(out / "encoder.onnx"), load_external_data=False).graph
    stored = load_file(out / "encoder.safetensors")
    referred = [tensor for tensor in graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
    assert {tensor.name for tensor in referred} == set(stored)
    assert {tensor.data_type for tensor in referred} == {TensorProto.FLOAT}
    assert [node.name for node in graph.node if node.op_type == "Cast" and node.input[0] in stored] == []


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_manifest_says_what_is_known_and_no_more(
    imported: dict[Architecture, Place], architecture: Architecture
) -> None:
    place = imported[architecture]
    manifest = ModelDirectory.open(place.out, TASKS_FILE).manifest
    assert manifest.name == "imported"
    assert manifest.pooling == "cls"
    assert manifest.base_model == {
        "origin": "imported from a DeepPavlov multitask_transformer checkpoint",
        "architecture": architecture,
        "licence": "not stated",
    }
    digest = hashlib.sha256(place.checkpoint.read_bytes()).hexdigest()
    assert manifest.training == {"imported_from": "deeppavlov", "sha256": digest}
    assert manifest.scores == {}
    assert manifest.data == []
    assert set(manifest.temperatures.values()) == {1.0}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_file_says_where_on_this_machine_the_import_was_made(
    imported: dict[Architecture, Place], architecture: Architecture
) -> None:
    out = imported[architecture].out
    assert [path.name for path in out.parent.iterdir()] == [out.name], "nothing is left beside it"
    for path in out.iterdir():
        assert str(imported[architecture].path).encode() not in path.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o644


def in_parallel(content: dict[str, Any]) -> None:
    content["model_state_dict"] = {f"module.{name}": tensor for name, tensor in content["model_state_dict"].items()}


def with_optimizer(content: dict[str, Any]) -> None:
    parameters = [nn.Parameter(tensor.clone()) for tensor in content["model_state_dict"].values()]
    optimizer = torch.optim.AdamW(parameters, lr=2e-5, betas=(0.9, 0.99))
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    content["optimizer_state_dict"] = optimizer.state_dict()


def with_constants(content: dict[str, Any]) -> None:
    content["model_state_dict"]["bert.embeddings.position_ids"] = torch.arange(64).unsqueeze(0)


@pytest.mark.slow
@pytest.mark.parametrize("edit", [in_parallel, with_optimizer, with_constants])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_stands_around_the_weights_does_not_matter(
    imported: dict[Architecture, Place],
    tmp_path: Path,
    architecture: Architecture,
    edit: Callable[[dict[str, Any]], None],
) -> None:
    place = Place.make(tmp_path, architecture)
    place.edit_checkpoint(edit)
    place.run()
    for name in ("encoder.safetensors", "encoder.onnx", "heads.safetensors", "config.json", "tokenizer.json"):
        assert (place.out / name).read_bytes() == (imported[architecture].out / name).read_bytes()


@pytest.mark.slow
def test_a_backbone_with_a_vocabulary_alone_gives_the_same_tokens(place: Place) -> None:
    tokenizer = place.backbone / "tokenizer.json"
    ids = Tokenizer.from_file(str(tokenizer)).get_vocab()
    tokenizer.unlink()
    (place.backbone / "vocab.txt").write_text("".join(f"{token}\n" for token in sorted(ids, key=ids.__getitem__)))
    place.run()
    pipeline = load_pipeline(ModelDirectory.open(place.out, TASKS_FILE))
    for item in json.loads((GOLDEN / "bert" / "expected.json").read_text("utf-8"))["items"]:
        assert pipeline.tokenizer([item["text"]]).ids.tolist() == item["input_ids"]


def test_a_configuration_of_half_precision_does_not_round_the_weights(place: Place) -> None:
    place.edit_config(torch_dtype="float16")
    encoder = import_deeppavlov.build_encoder(place.backbone)
    assert {tensor.dtype for tensor in encoder.state_dict().values()} == {torch.float32}
    assert encoder.backbone.config.dtype == torch.float32
