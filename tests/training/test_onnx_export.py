from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file

from tests import ROOT
from training.onnx_export import refer_to


def test_the_graph_holds_references_and_no_copy_of_the_weights(tiny_model: Path) -> None:
    graph = onnx.load(str(tiny_model / "encoder.onnx"), load_external_data=False).graph
    stored = load_file(tiny_model / "encoder.safetensors")
    referred = [t for t in graph.initializer if t.data_location == TensorProto.EXTERNAL]
    assert {tensor.name for tensor in referred} == {f"{name}.float16" for name in stored}
    for tensor in referred:
        places = {entry.key: entry.value for entry in tensor.external_data}
        assert places["location"] == "encoder.safetensors"
        content = (tiny_model / "encoder.safetensors").read_bytes()
        begin = int(places["offset"])
        weights = np.frombuffer(content[begin : begin + int(places["length"])], dtype=np.float16)
        expected = stored[tensor.name.removesuffix(".float16")]
        assert tuple(tensor.dims) == tuple(expected.shape)
        assert np.array_equal(weights, expected.numpy().ravel())


def test_the_graph_contains_no_path_of_the_machine_that_exported_it(tiny_model: Path) -> None:
    content = (tiny_model / "encoder.onnx").read_bytes()
    for trace in (str(ROOT), str(Path(torch.__file__).parent), str(tiny_model), "site-packages", ".py"):
        assert trace.encode() not in content


def test_a_weight_that_the_graph_lacks_is_an_error_with_its_name(tmp_path: Path) -> None:
    used = numpy_helper.from_array(np.ones(2, dtype=np.float32), "used")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "used"], ["y"])], "sum", values[:1], values[1:], [used])
    save_file({"used": torch.ones(2).half(), "unused": torch.ones(2).half()}, tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match="no weight unused"):
        refer_to(helper.make_model(graph), tmp_path / "weights.safetensors")
