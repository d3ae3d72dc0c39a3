"""The encoder as an ONNX graph whose weights are references into encoder.safetensors.

One set of weights serves both runtimes: the graph holds no copy of them. The file says how each is stored: float32
is referred to as it is; behind float16 (half the size) a Cast restores float32, and ONNX Runtime folds the casts
when it loads the graph.
"""

import json
import warnings
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper

from graph.runtime_torch import PooledEncoder

OPSET = 20

# What safetensors calls a type, and what ONNX calls it.
STORED_TYPES = {"F16": TensorProto.FLOAT16, "F32": TensorProto.FLOAT}


def export_onnx(encoder: PooledEncoder, weights: Path, target: Path) -> None:
    """Write the graph.

    Args:
        encoder: what is exported; any Hugging Face encoder.
        weights: its state dict as a safetensors file, float16 or float32, in the folder of `target`.
        target: the ONNX file.

    Raises:
        ValueError: a tensor of the safetensors file is not in the graph.
    """
    encoder.eval()
    ids = torch.ones(2, 8, dtype=torch.int64)
    rows, width = torch.export.Dim("rows"), torch.export.Dim("width")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        program = torch.onnx.export(
            encoder,
            (ids, torch.ones_like(ids)),
            input_names=["input_ids", "attention_mask"],
            output_names=["pooled"],
            dynamic_shapes=({0: rows, 1: width}, {0: rows, 1: width}),
            opset_version=OPSET,
            # The exporter's optimizer would fold transposes into the weights, which then are no longer those stored.
            optimize=False,
            verbose=False,
            dynamo=True,
        )
    if program is None:
        raise ValueError("the exporter returned no graph")
    model: onnx.ModelProto = program.model_proto
    _strip(model)
    refer_to(model, weights)
    onnx.save(model, str(target))
    onnx.checker.check_model(str(target))


def _strip(model: onnx.ModelProto) -> None:
    """Drop what the exporter noted for debugging: stack traces with paths, and shapes that the runtime infers."""
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""


def refer_to(model: onnx.ModelProto, weights: Path) -> None:
    """Replace each initializer that the safetensors file has under its name by a reference, and a Cast if need be.

    Raises:
        ValueError: a tensor of the file is not in the graph.
    """
    with weights.open("rb") as stream:
        header_size = int.from_bytes(stream.read(8), "little")
        stored = json.loads(stream.read(header_size))
    stored.pop("__metadata__", None)
    casts: list[onnx.NodeProto] = []
    for tensor in model.graph.initializer:
        entry = stored.pop(tensor.name, None)
        if entry is None:
            continue
        stored_type, name = STORED_TYPES[entry["dtype"]], tensor.name
        if stored_type == TensorProto.FLOAT16:
            name = f"{tensor.name}.float16"
            casts.append(helper.make_node("Cast", [name], [tensor.name], to=TensorProto.FLOAT))
        begin, end = entry["data_offsets"]
        tensor.CopyFrom(
            _external(name, stored_type, list(tensor.dims), weights.name, 8 + header_size + begin, end - begin)
        )
    if stored:
        raise ValueError(f"the ONNX graph has no weight {min(stored)}")
    nodes = casts + list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _external(
    name: str, stored_type: int, dims: list[int], location: str, offset: int, length: int
) -> onnx.TensorProto:
    tensor = TensorProto(name=name, dims=dims, data_type=stored_type, data_location=TensorProto.DataLocation.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor
