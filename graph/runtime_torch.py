"""The encoder in torch: the reference. Takes any Hugging Face encoder; the only module here that imports torch."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from graph.errors import ModelError
from graph.model_directory import ModelDirectory, Pooling


class PooledEncoder(nn.Module):
    """A Hugging Face encoder and the shared pooler: tanh(W x + b), x the mean token vector or that of [CLS].

    Args:
        backbone: maps `input_ids` and `attention_mask` to `last_hidden_state`.
        pooling: what the pooler sees.
    """

    def __init__(self, backbone: nn.Module, pooling: Pooling) -> None:
        super().__init__()
        # BERT brings a pooler of its own, DistilBERT does not; ours serves all.
        if hasattr(backbone, "pooler"):
            backbone.pooler = None  # type: ignore[assignment]
        self.backbone = backbone
        self.pooling = pooling
        self.hidden_size: int = backbone.config.hidden_size  # type: ignore[union-attr, assignment]
        self.pooler = nn.Linear(self.hidden_size, self.hidden_size)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """`(rows, width)` twice to `(rows, hidden_size)`."""
        output: Any = self.backbone(input_ids=input_ids, attention_mask=attention_mask)
        vectors: Tensor = output.last_hidden_state
        if self.pooling == "cls":
            pooled = vectors[:, 0]
        else:
            weights = attention_mask.unsqueeze(-1).to(vectors.dtype)
            pooled = (vectors * weights).sum(dim=1) / weights.sum(dim=1)
        return torch.tanh(self.pooler(pooled))


class TorchRuntime:
    """A `PooledEncoder` in evaluation mode; see `graph.encoder.Runtime`."""

    def __init__(self, encoder: PooledEncoder) -> None:
        self._encoder = encoder.eval()
        self.hidden_size = encoder.hidden_size

    @torch.inference_mode()
    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Encode padded rows: `(rows, width)` to `(rows, hidden_size)`."""
        pooled = self._encoder(torch.from_numpy(ids), torch.from_numpy(mask))
        vectors: NDArray[np.float32] = pooled.float().numpy()  # where the caller has chosen another precision
        return vectors


def load(model: ModelDirectory, threads: int) -> TorchRuntime:
    """The runtime of a model directory; errors as of `load_encoder`."""
    torch.set_num_threads(threads)
    return TorchRuntime(load_encoder(model))


def load_encoder(model: ModelDirectory) -> PooledEncoder:
    """Build the architecture that `config.json` names and fill in the weights, widened to float32.

    Raises:
        ModelError: the weights are not those of that architecture.
    """
    backbone: nn.Module = AutoModel.from_config(  # type: ignore[no-untyped-call]
        AutoConfig.from_pretrained(model.file("config.json").parent)
    )
    encoder = PooledEncoder(backbone, model.manifest.pooling)
    weights = load_file(model.file("encoder.safetensors"))
    try:
        encoder.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    except RuntimeError as error:
        raise ModelError(f"model directory {model.path}: encoder.safetensors does not fit config.json") from error
    return encoder
