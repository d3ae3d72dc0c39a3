"""Ways to compute an encoder in fewer bits: those of ONNX Runtime's own tool, and that of training.int8."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, quantize_dynamic, quantize_static
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.quantization.quant_utils import QuantType

from training.int8 import WEIGHT_STEPS, find_linears, observe, quantized, to_bytes

Batch = tuple[NDArray[np.int64], NDArray[np.int64]]
Scheme = Callable[[ModelProto], ModelProto]


def all_schemes(batches: list[Batch]) -> dict[str, Scheme]:
    """Every scheme by the name it has in the table; `batches` of training rows show which values occur."""
    percentile = {"CalibPercentile": 99.99}
    return {
        "float32": lambda model: model,
        "dynamic, a scale a tensor": lambda model: dynamic(model, per_channel=False),
        "dynamic, a scale a channel of the weights": lambda model: dynamic(model, per_channel=True),
        "static QDQ, min-max": lambda model: static(model, batches, CalibrationMethod.MinMax, {}),
        "static QDQ, percentile 99.99": lambda model: static(model, batches, CalibrationMethod.Percentile, percentile),
        "static QDQ, entropy": lambda model: static(model, batches, CalibrationMethod.Entropy, {}),
        "MatMulNBits, 8 bits, block 32": lambda model: blocks(model, 32),
        "MatMulNBits, 8 bits, block 128": lambda model: blocks(model, 128),
        "products only, a scale a token at run time": row_scales,
        "products only, static, not equalised": lambda model: quantized(model, observe(model, batches), smoothing=None),
        "products only, static, equalised: onnx-int8": lambda model: quantized(model, observe(model, batches)),
    }


def _by_files(model: ModelProto, make: Callable[[Path, Path], None]) -> ModelProto:
    """ONNX Runtime's tool works on files."""
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch) / "float32.onnx", Path(scratch) / "quantized.onnx"
        onnx.save(model, str(source))
        logging.disable(logging.WARNING)  # it advises a preprocessing that `folded` has done
        try:
            make(source, target)
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(str(target))


def dynamic(model: ModelProto, per_channel: bool) -> ModelProto:
    """Scales of activations from the whole tensor at run time; tables in 8 bits too."""
    return _by_files(model, lambda source, target: quantize_dynamic(source, target, per_channel=per_channel))


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, batches: list[Batch]) -> None:
        self._inputs: Iterator[dict[str, NDArray[np.int64]]] = (
            {"input_ids": ids, "attention_mask": mask} for ids, mask in batches
        )

    def get_next(self) -> dict[str, NDArray[np.int64]] | None:
        return next(self._inputs, None)


def static(model: ModelProto, batches: list[Batch], method: CalibrationMethod, extra: Mapping[str, Any]) -> ModelProto:
    """Every product in 8 bits, those of attention and the pooler too; tables stay float32."""
    if method != CalibrationMethod.MinMax:  # its histograms want batches of one shape, and keep every value in memory
        batches = [(ids[:24, :24], mask[:24, :24]) for ids, mask in batches if min(ids.shape) >= 24]
    return _by_files(
        model,
        lambda source, target: quantize_static(
            source,
            target,
            _Reader(batches),
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=method,
            extra_options=dict(extra),
        ),
    )


def blocks(model: ModelProto, size: int) -> ModelProto:
    """Weights in 8 bits in blocks, each with a scale; tables stay float32."""
    copied = ModelProto()
    copied.CopyFrom(model)
    quantizer = MatMulNBitsQuantizer(copied, bits=8, block_size=size, is_symmetric=True, accuracy_level=4)
    quantizer.process()
    result: ModelProto = quantizer.model.model
    return result


def row_scales(model: ModelProto) -> ModelProto:
    """Scales of activations from each token alone, at run time: as free of neighbours as fixed ones."""
    linears = {linear.nodes[0]: linear for linear in find_linears(model)}
    result = ModelProto()
    result.CopyFrom(model)
    constants: dict[str, NDArray[np.generic]] = {
        "one": np.array(1, dtype=np.float32),
        "share": np.array(1 / 127, dtype=np.float32),
        "zero": np.array(128, dtype=np.uint8),
        "last": np.array([-1], dtype=np.int64),
    }
    nodes: list[onnx.NodeProto] = []
    done: set[str] = set()
    for node in model.graph.node:
        linear = linears.get(node.output[0])
        if linear is None:
            nodes.append(node)
            continue
        source, output = linear.source, node.output[0]
        if source not in done:
            done.add(source)
            nodes += [
                helper.make_node("Abs", [source], [f"{source}.abs"]),
                helper.make_node("ReduceMax", [f"{source}.abs", "last"], [f"{source}.max"], keepdims=1),
                helper.make_node("Mul", [f"{source}.max", "share"], [f"{source}.scale"]),
                helper.make_node("Div", [source, f"{source}.scale"], [f"{source}.steps"]),
                helper.make_node("QuantizeLinear", [f"{source}.steps", "one", "zero"], [f"{source}.uint8"]),
            ]
        weight, scales = to_bytes(linear.weight, axis=0, steps=WEIGHT_STEPS)
        constants |= {f"{output}.weight": weight, f"{output}.scales": scales.ravel()}
        names = [f"{source}.uint8", f"{output}.weight", "one", f"{output}.scales", "zero", ""]
        nodes += [
            helper.make_node("MatMulIntegerToFloat", names, [f"{output}.raw"], domain="com.microsoft"),
            helper.make_node("Mul", [f"{output}.raw", f"{source}.scale"], [output]),
        ]
    read = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del result.graph.node[:], result.graph.initializer[:]
    result.graph.node.extend(nodes)
    result.graph.initializer.extend(kept + [numpy_helper.from_array(value, name) for name, value in constants.items()])
    return result
