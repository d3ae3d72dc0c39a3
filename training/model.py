"""The multitask model in torch: one encoder with its pooler, and one linear head a task."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModel

from graph.encoder import Encoder
from graph.heads import Head, load_heads
from graph.model_directory import ModelDirectory
from graph.pipeline import Pipeline
from graph.runtime_torch import PooledEncoder, TorchRuntime, load_encoder
from graph.tasks import Task
from graph.tokenizer import Tokenizer
from training.recipe import Recipe


class MultitaskModel(nn.Module):
    """Nine answers from one forward pass.

    Args:
        tasks: in contract order.
        encoder: encoder and pooler.
    """

    def __init__(self, tasks: Sequence[Task], encoder: PooledEncoder) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.encoder = encoder
        self.dropout = nn.Dropout(0.1)
        self.heads = nn.ModuleList(nn.Linear(encoder.hidden_size, len(task.labels)) for task in tasks)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """What the heads see in training: `(rows, width)` twice to `(rows, hidden_size)`, some of it dropped."""
        pooled: Tensor = self.dropout(self.encoder(ids, mask))
        return pooled

    def pipeline(self, tokenizer: Tokenizer) -> Pipeline:
        """The graph over the present weights, in evaluation mode, for scoring between steps."""
        return Pipeline(self.tasks, tokenizer, Encoder(TorchRuntime(self.encoder)), self.graph_heads())

    def load_heads(self, heads: Mapping[str, Head]) -> None:
        """Take over weights and biases of trained heads, by task name."""
        with torch.no_grad():
            for task, layer in zip(self.tasks, self.heads, strict=True):
                layer.get_parameter("weight").copy_(torch.from_numpy(heads[task.name].weight))
                layer.get_parameter("bias").copy_(torch.from_numpy(heads[task.name].bias))

    def graph_heads(self) -> dict[str, Head]:
        """The heads as the graph computes them."""
        return {
            task.name: Head(task, _array(layer.get_parameter("weight")), _array(layer.get_parameter("bias")))
            for task, layer in zip(self.tasks, self.heads, strict=True)
        }


def build_model(tasks: Sequence[Task], recipe: Recipe, start: ModelDirectory | None = None) -> MultitaskModel:
    """The model before its first step.

    Args:
        tasks: in contract order.
        recipe: base, kept layers, pooling, dropout, frozen parts.
        start: a trained model of the same tasks, whose kept layers, pooler and heads are where training begins;
            without it that is the base's kept layers, a pooler near the identity, and fresh heads.
    """
    model = MultitaskModel(tasks, _fresh_encoder(recipe)) if start is None else _trained(start)
    encoder = model.encoder
    if recipe.layers is not None:
        keep_layers(encoder.backbone, recipe.layers)
    if recipe.dropout is not None:
        for module in encoder.backbone.modules():
            if isinstance(module, nn.Dropout):
                module.p = recipe.dropout
    if recipe.freeze_embeddings:
        encoder.backbone.get_input_embeddings().requires_grad_(False)  # type: ignore[operator]
    return model


def _trained(directory: ModelDirectory) -> MultitaskModel:
    model = MultitaskModel(directory.tasks, load_encoder(directory))
    model.load_heads(load_heads(directory))
    return model


def trained_weights(directory: ModelDirectory) -> dict[str, Tensor]:
    """The weights of a model directory, named as in a `MultitaskModel`."""
    with torch.random.fork_rng():  # an encoder draws weights before it loads them; a run's own draws stay as they are
        weights: dict[str, Tensor] = _trained(directory).state_dict()
    return weights


def same_shape(some: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> bool:
    """Whether two sets of weights are of one architecture."""
    return {name: weights.shape for name, weights in some.items()} == {
        name: weights.shape for name, weights in others.items()
    }


def mean_weights(parts: Sequence[tuple[float, Mapping[str, Tensor]]]) -> dict[str, Tensor]:
    """The mean of sets of weights of one architecture, each with its share; shares sum to 1.

    Of runs that began at the same weights it is often better than any of them: Wortsman et al. 2022, "Model soups".
    """
    (_, first), *_ = parts
    return {name: torch.stack([share * weights[name] for share, weights in parts]).sum(dim=0) for name in first}


def _fresh_encoder(recipe: Recipe) -> PooledEncoder:
    encoder = PooledEncoder(AutoModel.from_pretrained(recipe.base.locate(), dtype=torch.float32), recipe.pooling)
    nn.init.eye_(encoder.pooler.weight)
    nn.init.zeros_(encoder.pooler.bias)
    with torch.no_grad():
        encoder.pooler.weight.mul_(recipe.pooler_gain)
    return encoder


def keep_layers(backbone: nn.Module, layers: Sequence[int]) -> None:
    """Cut an encoder of any architecture down to the given layers, in the given order.

    Raises:
        ValueError: the encoder has no such layer, or no list of layers as long as its configuration says.
    """
    config = backbone.config
    depth: int = config.num_hidden_layers  # type: ignore[union-attr, assignment]
    if not all(0 <= layer < depth for layer in layers):
        raise ValueError(f"the base encoder has layers 0 to {depth - 1}, not {list(layers)}")
    stacks = [
        (parent, name)
        for parent in backbone.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.ModuleList) and len(child) == depth
    ]
    if len(stacks) != 1:
        raise ValueError(f"expected one list of {depth} layers in the base encoder, found {len(stacks)}")
    parent, name = stacks[0]
    stack: nn.ModuleList = getattr(parent, name)
    setattr(parent, name, nn.ModuleList(stack[layer] for layer in layers))
    config.num_hidden_layers = len(layers)  # type: ignore[union-attr]


def _array(parameter: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    copied: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = parameter.detach().float().numpy().copy()
    return copied
