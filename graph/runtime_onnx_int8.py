"""The encoder in ONNX Runtime with its products in 8 bits, from the file that `training.quantize` writes."""

from graph.model_directory import INT8_ENCODER, ModelDirectory
from graph.runtime_onnx import OnnxRuntime, open_session


def load(model: ModelDirectory, threads: int) -> OnnxRuntime:
    """Open the session.

    Raises:
        ModelError: the model directory has no such file, or it is none that ONNX Runtime can load.
    """
    return OnnxRuntime(open_session(model, INT8_ENCODER, threads), model.manifest.hidden_size)
