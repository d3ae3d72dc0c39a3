from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from graph.model_directory import ModelDirectory
from tests import TASKS_FILE
from tests.tiny import LAYERS, VOCABULARY, random_tokens
from training import int8
from training.int8 import Range, equalising, find_linears, folded, observe, quantized, to_bytes
from training.quantize import padded_batches


@pytest.fixture(scope="module")
def graph(tiny_model: Path) -> ModelProto:
    return folded(ModelDirectory.open(tiny_model, TASKS_FILE))


@pytest.fixture(scope="module")
def ranges(graph: ModelProto) -> dict[str, Range]:
    return observe(graph, padded_batches(random_tokens(seed=2)))


def pooled(model: ModelProto) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    tokens = random_tokens(seed=3)
    ids, mask = tokens.padded(np.arange(len(tokens)))
    values: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = session.run(
        None, {"input_ids": ids, "attention_mask": mask}
    )[0]
    return values


def test_every_product_of_every_layer_is_found_with_its_bias(graph: ModelProto) -> None:
    linears = find_linears(graph)
    # Query, key and value read the same; then the output of attention, and the two of the feed-forward part.
    assert len(linears) == 6 * LAYERS
    assert len({linear.source for linear in linears}) == 4 * LAYERS
    assert all(linear.bias is not None for linear in linears)


def test_each_product_is_computed_in_8_bits(graph: ModelProto, ranges: dict[str, Range]) -> None:
    result = quantized(graph, ranges)
    onnx.checker.check_model(result)
    assert find_linears(result) == []
    assert sum(node.op_type == "MatMulIntegerToFloat" for node in result.graph.node) == 6 * LAYERS
    assert sum(node.op_type == "QuantizeLinear" for node in result.graph.node) == 4 * LAYERS
    assert result.ByteSize() < graph.ByteSize()


def test_the_result_is_nearly_that_of_float32(graph: ModelProto, ranges: dict[str, Range]) -> None:
    exact, rounded = pooled(graph), pooled(quantized(graph, ranges))
    assert np.sqrt(np.mean((rounded - exact) ** 2)) < 0.1 * exact.std()


def test_a_large_table_is_stored_in_8_bits(
    graph: ModelProto, ranges: dict[str, Range], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "LEAST_TABLE_ROWS", len(VOCABULARY))
    result = quantized(graph, ranges)
    shapes = {tensor.name: (tensor.data_type, *tensor.dims) for tensor in result.graph.initializer}
    tables = [shape for shape in shapes.values() if shape[1:2] == (len(VOCABULARY),)]
    assert sorted(tables) == [(TensorProto.FLOAT, len(VOCABULARY), 1), (TensorProto.INT8, len(VOCABULARY), 16)]
    exact = pooled(graph)
    assert np.sqrt(np.mean((pooled(result) - exact) ** 2)) < 0.1 * exact.std()


def test_a_range_holds_0_and_every_value_outside_the_padding(graph: ModelProto, ranges: dict[str, Range]) -> None:
    assert set(ranges) == {linear.source for linear in find_linears(graph)}
    for span in ranges.values():
        assert (span.low <= 0).all()
        assert (span.high >= 0).all()
        assert (span.high - span.low > 0).all()
    ids, mask = np.array([[2, 5, 3]]), np.array([[1, 1, 1]])
    bare = observe(graph, [(ids, mask)])
    padded = observe(graph, [(np.pad(ids, ((0, 0), (0, 9)), constant_values=77), np.pad(mask, ((0, 0), (0, 9))))])
    for name, span in bare.items():
        np.testing.assert_allclose(padded[name].low, span.low, atol=1e-5)
        np.testing.assert_allclose(padded[name].high, span.high, atol=1e-5)


def test_equalising_makes_channels_alike_and_moves_the_rest_into_the_weights() -> None:
    span = Range(np.array([-1, -100, 0], dtype=np.float32), np.array([1, 10, 0.01], dtype=np.float32))
    weight = np.ones((3, 2), dtype=np.float32)
    wholly = equalising(span, [weight], smoothing=1)
    reached = np.maximum(-span.low, span.high) / wholly
    np.testing.assert_allclose(reached, reached[0], rtol=1e-5)
    assert np.prod(wholly) == pytest.approx(1, rel=1e-4)
    halfway = equalising(span, [weight], smoothing=0.5)
    np.testing.assert_allclose(halfway, np.sqrt(wholly), rtol=1e-4)
    assert equalising(span, [weight], smoothing=None).tolist() == [1, 1, 1]


def test_a_channel_that_is_never_used_does_no_harm() -> None:
    nothing = Range(np.zeros(2, dtype=np.float32), np.array([0, 1], dtype=np.float32))
    factors = equalising(nothing, [np.array([[0, 0], [1, 1]], dtype=np.float32)], smoothing=0.85)
    assert np.isfinite(factors).all()
    assert (factors > 0).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_bytes_are_within_half_a_step_of_the_values(axis: int) -> None:
    values = np.random.default_rng(1).normal(size=(5, 7)).astype(np.float32)
    values[2] = values[:, 3] = 0
    stored, scales = to_bytes(values, axis, steps=63)
    assert stored.dtype == np.int8
    assert np.abs(stored).max() == 63
    assert scales.shape == ((1, 7) if axis == 0 else (5, 1))
    assert (np.abs(stored * scales - values) <= scales * 0.501).all()


def test_a_graph_without_products_is_an_error() -> None:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y")]
    one = numpy_helper.from_array(np.ones(2, dtype=np.float32), "one")
    graph = helper.make_graph([helper.make_node("Add", ["x", "one"], ["y"])], "sum", value[:1], value[1:], [one])
    with pytest.raises(ValueError, match="no product"):
        quantized(helper.make_model(graph), {})
