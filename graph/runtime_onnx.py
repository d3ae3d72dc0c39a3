"""The encoder in ONNX Runtime: the default. Computes in float32; knows neither torch nor transformers."""

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from graph.errors import ModelError
from graph.model_directory import ModelDirectory


class OnnxRuntime:
    """A session over `encoder.onnx`; see `graph.encoder.Runtime`."""

    def __init__(self, session: onnxruntime.InferenceSession, hidden_size: int) -> None:
        self._session = session
        self.hidden_size = hidden_size

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Encode padded rows: `(rows, width)` to `(rows, hidden_size)`."""
        (pooled,) = self._session.run(None, {"input_ids": ids, "attention_mask": mask})
        return np.asarray(pooled, dtype=np.float32)


def load(model: ModelDirectory, threads: int) -> OnnxRuntime:
    """Open the session; weights that lie as float16 are widened once, here."""
    model.file("encoder.safetensors")
    return OnnxRuntime(open_session(model, "encoder.onnx", threads), model.manifest.hidden_size)


def open_session(model: ModelDirectory, name: str, threads: int) -> onnxruntime.InferenceSession:
    """A session over one ONNX file of a model directory.

    Raises:
        ModelError: the file is not the manifest's, or ONNX Runtime cannot load it.
    """
    options = onnxruntime.SessionOptions()
    # Left to itself ONNX Runtime takes every core it sees, also those of other replicas.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads are faster alone and much slower beside neighbours on the same cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    path = model.file(name)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises several types without a common base
        raise ModelError(f"model directory {model.path}: cannot load {name}: {error}") from error
