"""Rewrites an encoder's ONNX graph so that its large products are computed in 8 bits.

    x W + b    ->    quantize(x / f) (f W in 8 bits) * scales + b

- Activations: 8 bits with one scale for the whole tensor, fixed beforehand from the values seen on training rows.
  A scale taken from the batch at hand would be cheaper to get and make each score depend on its neighbours.
- A few channels are ten times as large as the rest and would leave these with a handful of steps. So channels are
  first equalised: divided by f, and the rows of W multiplied by it (Xiao et al. 2022, "SmoothQuant"; it folds f into
  the layer before, which the residual connections of BERT and the bend of the activation function forbid: here it is
  a product of its own, which costs little).
- Weights: symmetric, a scale an output channel, and 7 of their 8 bits: where a processor has no VNNI, ONNX Runtime adds
  two products in 16 bits, which saturates with all 8. So every processor computes the same.
- Word embeddings: 8 bits, a scale a word.
- All else stays float32: attention, normalisation, activation function, pooler.
"""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from graph.model_directory import ModelDirectory

# How much of the inequality of channels is moved from the activations (0: nothing) into the weights (1: all).
SMOOTHING = 0.85

# Steps on each side of 0.
WEIGHT_STEPS = 63
TABLE_STEPS = 127

# A smaller table (positions, token types) is not worth the nodes.
LEAST_TABLE_ROWS = 2048

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Range:
    """The least and greatest value of each channel of an activation: float32 `(channels,)`; never above and below 0."""

    low: Floats
    high: Floats


def folded(model: ModelDirectory) -> ModelProto:
    """The encoder with its weights inside, float32, as ONNX Runtime's machine-independent optimizations leave it."""
    model.file("encoder.safetensors")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "folded.onnx"
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(str(model.file("encoder.onnx")), options, providers=["CPUExecutionProvider"])
        return onnx.load(str(path))


@dataclass(frozen=True)
class Linear:
    """A product with constant weights, and the bias added to it, if there is one.

    Attributes:
        source: name of what is multiplied.
        weight: float32 `(inputs, outputs)`.
        bias: float32 `(outputs,)`, or None.
        nodes: names of the outputs of the nodes that it replaces, the last one being its own.
    """

    source: str
    weight: Floats
    bias: Floats | None
    nodes: tuple[str, ...]


def find_linears(model: ModelProto) -> list[Linear]:
    """All products that are quantized, in the order of the graph."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    readers: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    linears: list[Linear] = []
    for node in model.graph.node:
        weight = constants.get(node.input[1]) if node.op_type == "MatMul" else None
        if weight is None or len(weight.dims) != 2:
            continue
        product, bias, nodes = node.output[0], None, [node.output[0]]
        following = readers.get(product, [])
        if len(following) == 1 and following[0].op_type == "Add":
            (other,) = (name for name in following[0].input if name != product)
            if other in constants and len(constants[other].dims) == 1:
                bias = numpy_helper.to_array(constants[other])
                nodes.append(following[0].output[0])
        linears.append(Linear(node.input[0], numpy_helper.to_array(weight), bias, tuple(nodes)))
    return linears


def observe(model: ModelProto, batches: Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> dict[str, Range]:
    """The range of every activation that a product reads, by its name.

    Args:
        model: a graph that `folded` returned.
        batches: ids and masks, each `(rows, width)`; what stands in the padding does not count.
    """
    names = sorted({linear.source for linear in find_linears(model)})
    watched = ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    seen: dict[str, list[Floats]] = {name: [] for name in names}
    for ids, mask in batches:
        values = session.run(names, {"input_ids": ids, "attention_mask": mask})
        for name, value in zip(names, values, strict=True):
            tokens = value[mask == 1]
            seen[name] += [tokens.min(axis=0), tokens.max(axis=0)]
    return {
        name: Range(np.minimum(np.min(extremes, axis=0), 0), np.maximum(np.max(extremes, axis=0), 0))
        for name, extremes in seen.items()
    }


def quantized(model: ModelProto, ranges: Mapping[str, Range], smoothing: float | None = SMOOTHING) -> ModelProto:
    """The graph in 8 bits.

    Args:
        model: a graph that `folded` returned.
        ranges: what `observe` returned for it.
        smoothing: see `SMOOTHING`; None leaves the channels as they are.

    Raises:
        ValueError: it has no product with constant weights.
    """
    linears = find_linears(model)
    if not linears:
        raise ValueError("the encoder has no product with constant weights")
    rewriting = _Rewriting()
    by_source: dict[str, list[Linear]] = {}
    for linear in linears:
        by_source.setdefault(linear.source, []).append(linear)
    for source, same_source in by_source.items():
        factors = equalising(ranges[source], [linear.weight for linear in same_source], smoothing)
        rewriting.quantize_source(source, ranges[source], factors)
        for linear in same_source:
            rewriting.quantize_linear(linear, factors)
    return rewriting.apply(model)


def equalising(span: Range, weights: Iterable[Floats], smoothing: float | None) -> Floats:
    """What the channels of an activation are divided by: float32 `(channels,)`, around 1.

    Args:
        span: of the activation.
        weights: `(channels, outputs)`, of every product that reads it.
        smoothing: see `SMOOTHING`; None: by 1.
    """
    if smoothing is None:
        return np.ones_like(span.high)
    # A channel that is never used would ask for a factor of 0.
    least = 1e-5
    activation = np.maximum(np.maximum(-span.low, span.high), least)
    weight = np.maximum(np.max([np.abs(one).max(axis=1) for one in weights], axis=0), least)
    factors = activation**smoothing / weight ** (1 - smoothing)
    around_one: Floats = (factors / np.exp(np.log(factors).mean())).astype(np.float32)
    return around_one


@dataclass
class _Rewriting:
    """Collects what replaces which nodes; names of new values begin with the value that they belong to."""

    before: dict[str, list[NodeProto]] = field(default_factory=dict)
    replaced: dict[str, list[NodeProto]] = field(default_factory=dict)
    constants: list[TensorProto] = field(default_factory=list)
    inputs: dict[str, list[NodeProto]] = field(default_factory=dict)

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def quantize_source(self, source: str, span: Range, factors: Floats) -> None:
        low, high = float((span.low / factors).min()), float((span.high / factors).max())
        scale = max(high - low, 1e-8) / 255
        self.constant(f"{source}.scale", np.array(scale, dtype=np.float32))
        self.constant(f"{source}.zero", np.array(round(-low / scale), dtype=np.uint8))
        inverse = self.constant(f"{source}.inverse", 1 / factors)
        self.inputs[source] = [
            helper.make_node("Mul", [source, inverse], [f"{source}.equal"]),
            helper.make_node(
                "QuantizeLinear", [f"{source}.equal", f"{source}.scale", f"{source}.zero"], [f"{source}.uint8"]
            ),
        ]

    def quantize_linear(self, linear: Linear, factors: Floats) -> None:
        source, output = linear.source, linear.nodes[-1]
        weight, scales = to_bytes(linear.weight * factors[:, None], axis=0, steps=WEIGHT_STEPS)
        names = [
            f"{source}.uint8",
            self.constant(f"{output}.weight", weight),
            f"{source}.scale",
            self.constant(f"{output}.scales", scales.ravel()),
            f"{source}.zero",
            "",  # the weights' zero is 0
        ]
        if linear.bias is not None:
            names.append(self.constant(f"{output}.bias", linear.bias))
        product = helper.make_node("MatMulIntegerToFloat", names, [output], domain="com.microsoft")
        first, *rest = linear.nodes
        # What is shared by several products stands before the first of them.
        self.replaced[first] = [*self.inputs.pop(source, []), product]
        self.replaced |= {name: [] for name in rest}

    def quantize_table(self, node: NodeProto, table: Floats) -> None:
        output, ids = node.output[0], node.input[1]
        values, scales = to_bytes(table, axis=1, steps=TABLE_STEPS)
        self.replaced[output] = [
            helper.make_node("Gather", [self.constant(f"{output}.table", values), ids], [f"{output}.int8"]),
            helper.make_node("Gather", [self.constant(f"{output}.scales", scales), ids], [f"{output}.scale"]),
            helper.make_node("Cast", [f"{output}.int8"], [f"{output}.float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{output}.float", f"{output}.scale"], [output]),
        ]

    def apply(self, model: ModelProto) -> ModelProto:
        tables = {tensor.name: tensor for tensor in model.graph.initializer}
        for node in model.graph.node:
            table = tables.get(node.input[0]) if node.op_type == "Gather" else None
            if table is not None and len(table.dims) == 2 and table.dims[0] >= LEAST_TABLE_ROWS:
                self.quantize_table(node, numpy_helper.to_array(table))
        result = ModelProto()
        result.CopyFrom(model)
        nodes = [new for old in model.graph.node for new in self.replaced.get(old.output[0], [old])]
        read = {name for node in nodes for name in node.input}
        kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
        for old, new in ((result.graph.node, nodes), (result.graph.initializer, kept + self.constants)):
            del old[:]
            old.extend(new)
        _strip(result)
        return result


def to_bytes(values: Floats, axis: int, steps: int) -> tuple[NDArray[np.int8], Floats]:
    """Symmetric around 0, with a scale for each slice.

    Args:
        values: `(rows, columns)`.
        axis: along which the values of one scale lie.
        steps: the greatest byte, at most 127.

    Returns:
        The bytes, and the scales with `axis` kept: bytes times scales is near `values`.
    """
    largest = np.maximum(np.abs(values).max(axis=axis, keepdims=True), np.float32(1e-12))
    scales: Floats = (largest / np.float32(steps)).astype(np.float32)
    return np.round(values / scales).astype(np.int8), scales


def _strip(model: ModelProto) -> None:
    """Drop operator sets that nothing is left of, and shapes that the runtime infers."""
    used = {node.domain for node in model.graph.node}
    opsets = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:], model.graph.value_info[:]
    model.opset_import.extend(opsets)
