from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModel

from graph.heads import load_heads, softmax
from graph.model_directory import ModelDirectory
from graph.tokenizer import Tokenizer
from tests.tiny import ARCHITECTURES, LAYERS, TASKS, Architecture, tiny_recipe, write_base, write_tiny_model
from training.model import MultitaskModel, build_model, keep_layers

IDS = torch.tensor([[2, 50, 60, 3], [2, 70, 3, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


def load_backbone(path: Path, architecture: Architecture) -> Any:
    write_base(path, architecture)
    backbone: Any = AutoModel.from_pretrained(path)
    return backbone.eval()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_first_layer_alone_answers_what_it_answers_inside_the_whole(
    tmp_path: Path, architecture: Architecture
) -> None:
    backbone = load_backbone(tmp_path, architecture)
    whole = backbone(input_ids=IDS, attention_mask=MASK, output_hidden_states=True).hidden_states
    keep_layers(backbone, [0])
    kept = backbone(input_ids=IDS, attention_mask=MASK).last_hidden_state
    assert backbone.config.num_hidden_layers == 1
    assert torch.allclose(kept, whole[1], atol=1e-6)
    assert not torch.allclose(kept, whole[LAYERS], atol=1e-2)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_layers_are_kept_in_the_given_order(tmp_path: Path, architecture: Architecture) -> None:
    backbone = load_backbone(tmp_path, architecture)
    whole = backbone(input_ids=IDS, attention_mask=MASK).last_hidden_state
    keep_layers(backbone, [1, 0])
    swapped = backbone(input_ids=IDS, attention_mask=MASK).last_hidden_state
    assert not torch.allclose(swapped, whole, atol=1e-2)
    keep_layers(backbone, [1, 0])
    assert torch.equal(backbone(input_ids=IDS, attention_mask=MASK).last_hidden_state, whole)


@pytest.mark.parametrize("layers", [[LAYERS], [0, -1]])
def test_a_layer_that_the_base_lacks_is_an_error(tmp_path: Path, layers: list[int]) -> None:
    backbone = load_backbone(tmp_path, "bert")
    with pytest.raises(ValueError, match=f"has layers 0 to {LAYERS - 1}, not"):
        keep_layers(backbone, layers)


@pytest.mark.parametrize("lists", [0, 2])
def test_a_base_without_exactly_one_list_of_layers_is_an_error(lists: int) -> None:
    backbone: Any = nn.Module()
    backbone.config = SimpleNamespace(num_hidden_layers=3)
    for i in range(lists):
        backbone.add_module(f"layers_{i}", nn.ModuleList(nn.Identity() for _ in range(3)))
    with pytest.raises(ValueError, match=f"one list of 3 layers in the base encoder, found {lists}"):
        keep_layers(backbone, [0])


@pytest.fixture
def model(tiny_base: Path) -> MultitaskModel:
    torch.manual_seed(1)
    return build_model(TASKS, tiny_recipe(tiny_base))


def test_a_recipe_says_which_layers_are_kept(tiny_base: Path) -> None:
    model = build_model(TASKS, tiny_recipe(tiny_base, layers=[1]))
    config: Any = model.encoder.backbone.config
    assert config.num_hidden_layers == 1


def test_a_run_may_start_with_the_layers_pooler_and_heads_of_a_trained_model(
    tiny_base: Path, tiny_tasks_file: Path, tmp_path: Path
) -> None:
    write_tiny_model(tmp_path, tiny_tasks_file, seed=2)
    start = ModelDirectory.open(tmp_path, tiny_tasks_file)
    weights = start.load_tensors("encoder.safetensors")
    model = build_model(TASKS, tiny_recipe(tiny_base, layers=[1]), start)
    config: Any = model.encoder.backbone.config
    assert config.num_hidden_layers == 1
    kept = {name: tensor.numpy() for name, tensor in model.encoder.state_dict().items()}
    for name, tensor in kept.items():
        np.testing.assert_array_equal(tensor, weights[name.replace("layer.0.", "layer.1.")])
    for name, head in load_heads(start).items():
        np.testing.assert_array_equal(model.graph_heads()[name].weight, head.weight)
        np.testing.assert_array_equal(model.graph_heads()[name].bias, head.bias)


def test_the_pooler_starts_as_a_multiple_of_the_identity(tiny_base: Path) -> None:
    for gain in (1.0, 3.0):
        encoder = build_model(TASKS, tiny_recipe(tiny_base, pooling="cls", pooler_gain=gain)).encoder.eval()
        vectors = encoder.backbone(input_ids=IDS, attention_mask=MASK).last_hidden_state
        assert torch.allclose(encoder(IDS, MASK), torch.tanh(gain * vectors[:, 0]), atol=1e-6)


def test_the_mean_is_taken_over_the_tokens_and_not_over_the_padding(model: MultitaskModel) -> None:
    encoder = model.encoder.eval()
    vectors = encoder.backbone(input_ids=IDS, attention_mask=MASK).last_hidden_state
    means = torch.stack([vectors[0].mean(dim=0), vectors[1, :3].mean(dim=0)])
    assert torch.allclose(encoder(IDS, MASK), torch.tanh(means), atol=1e-6)


def test_frozen_token_vectors_do_not_learn(tiny_base: Path) -> None:
    backbone = build_model(TASKS, tiny_recipe(tiny_base, freeze_embeddings=True)).encoder.backbone
    frozen = {name for name, parameter in backbone.named_parameters() if not parameter.requires_grad}
    assert frozen == {"embeddings.word_embeddings.weight"}


def test_dropout_is_a_setting(tiny_base: Path) -> None:
    def rates(**settings: float) -> set[float]:
        backbone = build_model(TASKS, tiny_recipe(tiny_base, **settings)).encoder.backbone
        return {module.p for module in backbone.modules() if isinstance(module, torch.nn.Dropout)}

    assert rates() == {0.1}
    assert rates(dropout=0.3) == {0.3}


def test_the_pipeline_of_a_model_answers_what_its_layers_answer(model: MultitaskModel, tiny_base: Path) -> None:
    tokenizer = Tokenizer(tiny_base / "tokenizer.json")
    pipeline = model.train().pipeline(tokenizer)
    probabilities = pipeline.probabilities(["dog"])
    ids, mask = (torch.from_numpy(array) for array in tokenizer(["dog"]).padded(np.array([0])))
    with torch.inference_mode():
        logits = model.eval().heads[0](model.encoder(ids, mask)).numpy()
    assert list(probabilities) == [task.name for task in TASKS]
    np.testing.assert_allclose(probabilities[TASKS[0].name], softmax(logits), atol=1e-6)
