import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml
from onnx import TensorProto
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from graph.encoder import RuntimeName
from graph.model_directory import ModelDirectory
from graph.pipeline import load_pipeline
from tests import TASKS_FILE
from tests.tiny import ARCHITECTURES, Architecture
from training import import_deeppavlov
from training.import_deeppavlov import main

GOLDEN = Path(__file__).parent / "golden"
HEAD = "bert.final_classifier"


@dataclass(frozen=True)
class Place:
    """Copies of one golden folder's files that a test may spoil, and where the import goes."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        return self.path / "model.pth.tar"

    @property
    def backbone(self) -> Path:
        return self.path / "backbone"

    @property
    def tasks_file(self) -> Path:
        return self.path / "tasks.yaml"

    @property
    def out(self) -> Path:
        return self.path / "models" / "imported"

    @staticmethod
    def make(path: Path, architecture: Architecture) -> "Place":
        shutil.copytree(GOLDEN / architecture, path, dirs_exist_ok=True)
        shutil.copyfile(TASKS_FILE, path / "tasks.yaml")
        return Place(path)

    def run(self) -> None:
        named = {"--backbone": self.backbone, "--tasks": self.tasks_file, "--out": self.out}
        main([str(self.checkpoint), *(str(part) for pair in named.items() for part in pair)])

    def assert_refused(self, *says: str) -> None:
        """The import ends with one line and status 1, and leaves no trace."""
        before = {*self.path.rglob("*"), self.out.parent}
        with pytest.raises(SystemExit) as caught:
            self.run()
        message = caught.value.code
        assert isinstance(message, str), "printed to standard error, and the exit status is 1"
        assert message.startswith("cannot import: ")
        assert "\n" not in message
        for part in says:
            assert part in message
        assert {*self.path.rglob("*"), self.out.parent} == before

    def edit_checkpoint(self, edit: Callable[[dict[str, Any]], object]) -> None:
        content = torch.load(self.checkpoint, weights_only=True)
        edit(content)
        torch.save(content, self.checkpoint)

    def edit_weights(self, edit: Callable[[dict[str, Tensor]], object]) -> None:
        self.edit_checkpoint(lambda content: edit(content["model_state_dict"]))

    def edit_config(self, **settings: Any) -> None:
        path = self.backbone / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | settings), "utf-8")

    def edit_tasks(self, edit: Callable[[list[dict[str, Any]]], object]) -> None:
        tasks = yaml.safe_load(self.tasks_file.read_text("utf-8"))
        edit(tasks["tasks"])
        self.tasks_file.write_text(yaml.safe_dump(tasks), "utf-8")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.make(tmp_path / "place", "bert")


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


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda weights: weights.pop("bert.pooler.weight"), "no bert.pooler.weight"),
        (lambda weights: weights.pop("bert.encoder.layer.1.output.dense.bias"), "no bert.encoder.layer.1.output"),
        (lambda weights: weights.pop(f"{HEAD}.3.bias"), f"no {HEAD}.3.bias"),
        (lambda weights: weights.update({"bert.pooling_layer.bias": torch.ones(32)}), "has bert.pooling_layer.bias"),
        (lambda weights: weights.update({"crf.start": torch.ones(2)}), "has crf.start"),
        (lambda weights: weights.update({f"{HEAD}.3.scale": torch.ones(2)}), f"has {HEAD}.3.scale"),
        (lambda weights: weights.update({"bert.pooler.bias": torch.ones(31)}), "(31,) in the checkpoint"),
        (lambda weights: weights.update({"bert.pooler.bias": torch.ones(1, 32)}), "the backbone needs (32,)"),
        (lambda weights: weights.update({f"{HEAD}.3.weight": torch.ones(3, 32)}), "factoid_classification needs (2, "),
        (lambda weights: weights.update({f"{HEAD}.3.bias": torch.ones(3)}), "factoid_classification needs (2,)"),
        (lambda weights: [weights.pop(f"{HEAD}.8.{part}") for part in ("weight", "bias")], "8 heads"),
        (lambda weights: weights.update({f"{HEAD}.9.bias": torch.ones(2)}), "10 heads"),
        (lambda weights: weights.update({f"{HEAD}.8.bias": "text"}), "no model_state_dict of tensors"),
        (lambda weights: weights.clear(), "0 heads"),
    ],
)
def test_a_checkpoint_with_other_parts_is_refused(
    place: Place, edit: Callable[[dict[str, Tensor]], object], says: str
) -> None:
    place.edit_weights(edit)
    place.assert_refused(says)


def test_a_head_of_other_classes_than_its_task_is_refused(place: Place) -> None:
    place.edit_tasks(lambda tasks: tasks[1]["labels"].append("mixed"))
    place.assert_refused(f"{HEAD}.1.weight is (3, 32)", "sentiment_classification needs (4, 32)")


@pytest.mark.parametrize("number", [1, 8])
def test_another_number_of_tasks_than_heads_is_refused(place: Place, number: int) -> None:
    place.edit_tasks(lambda tasks: tasks.__delitem__(slice(number, None)))
    place.assert_refused("9 heads", f"{number} tasks")


def test_tasks_in_another_order_than_the_heads_are_refused_where_it_shows(place: Place) -> None:
    place.edit_tasks(lambda tasks: tasks.reverse())
    place.assert_refused("in the checkpoint")


def test_the_checkpoint_of_another_backbone_is_refused(place: Place) -> None:
    shutil.copyfile(GOLDEN / "distilbert" / "model.pth.tar", place.checkpoint)
    place.assert_refused("the checkpoint has no bert.")


@pytest.mark.parametrize(
    "content",
    [b"", b"no checkpoint", b"PK\x03\x04", (GOLDEN / "bert" / "model.pth.tar").read_bytes()[:-1000]],
    ids=["empty", "text", "archive", "truncated"],
)
def test_a_damaged_checkpoint_is_refused(place: Place, content: bytes) -> None:
    place.checkpoint.write_bytes(content)
    place.assert_refused("model.pth.tar is damaged")


@pytest.mark.parametrize("content", [[], {"state_dict": {}}, {"model_state_dict": None}, torch.ones(2)])
def test_a_file_of_another_layout_is_refused(place: Place, content: object) -> None:
    torch.save(content, place.checkpoint)
    place.assert_refused("no model_state_dict")


def test_a_checkpoint_that_would_run_code_is_refused(place: Place) -> None:
    place.edit_checkpoint(lambda content: content.update({"optimizer_state_dict": Path("an object")}))
    place.assert_refused("more than tensors and plain data")


@pytest.mark.parametrize("name", ["model.pth.tar", "tasks.yaml", "backbone/config.json", "backbone/tokenizer.json"])
@pytest.mark.parametrize("content", [None, b"{not: [readable"], ids=["missing", "broken"])
def test_a_file_that_is_missing_or_broken_is_refused_by_name(place: Place, name: str, content: bytes | None) -> None:
    (place.path / name).unlink()
    if content is not None:
        (place.path / name).write_bytes(content)
    place.assert_refused(Path(name).name)


@pytest.mark.parametrize(
    "settings",
    [
        {"model_type": "unheard_of"},
        {"hidden_size": "wide"},
        {"hidden_size": 33},
        {"num_attention_heads": 0},
        {"hidden_act": "unheard_of"},
        {"auto_map": {"AutoModel": "code.Model"}, "model_type": "unheard_of"},
    ],
)
def test_a_configuration_that_makes_no_encoder_is_refused(place: Place, settings: dict[str, Any]) -> None:
    place.edit_config(**settings)
    place.assert_refused("no encoder can be built from", "config.json")


def test_a_tokenizer_with_more_tokens_than_the_encoder_has_vectors_is_refused(place: Place) -> None:
    tokenizer = Tokenizer.from_file(str(place.backbone / "tokenizer.json"))
    tokenizer.add_tokens(["unheard"])
    tokenizer.save(str(place.backbone / "tokenizer.json"))
    place.assert_refused("knows 342 tokens", "vectors for 341")


@pytest.mark.parametrize("holds", ["a directory", "a file"])
def test_what_is_at_the_place_already_stays_as_it_is(place: Place, holds: str) -> None:
    kept = place.out if holds == "a file" else place.out / "manifest.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine", "utf-8")
    place.assert_refused("exists already")
    assert kept.read_text("utf-8") == "mine"


def test_an_import_that_breaks_off_leaves_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_half(*arguments: Any, **named: Any) -> None:
        out = next(part for part in arguments if isinstance(part, Path) and part.is_dir())
        (out / "encoder.safetensors").write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(import_deeppavlov, "write_model", write_half)
    place.assert_refused("no space left")
    assert list(place.out.parent.iterdir()) == []
