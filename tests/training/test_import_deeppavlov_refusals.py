"""What the import of a DeepPavlov checkpoint refuses, and that nothing is left of it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor

from tests.training.deeppavlov_place import GOLDEN, HEAD, Place
from training import import_deeppavlov


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
