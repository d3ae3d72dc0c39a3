import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from graph.encoder import Encoder, RuntimeName, chosen_runtime, load_runtime
from graph.model_directory import ModelDirectory, Pooling
from graph.tokenizer import TokenBatch
from tests import ROOT, TASKS_FILE
from tests.graph.damage import assert_refused, vouch_for
from tests.tiny import ARCHITECTURES, VOCABULARY, Architecture, random_tokens, write_tiny_model


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("pooling", get_args(Pooling))
def test_torch_and_onnx_pool_alike(tmp_path: Path, architecture: Architecture, pooling: Pooling) -> None:
    write_tiny_model(tmp_path / "model", TASKS_FILE, architecture, pooling)
    model = ModelDirectory.open(tmp_path / "model", TASKS_FILE)
    random = np.random.default_rng(1)
    # From a single token to the longest row that the encoder has positions for.
    tokens = TokenBatch.from_rows(
        random.integers(1, len(VOCABULARY), size=length).tolist() for length in [1, 2, 64, *random.integers(3, 40, 30)]
    )
    in_torch, in_onnx = (Encoder(load_runtime(name, model), token_budget=200)(tokens) for name in ("torch", "onnx"))
    assert in_torch.dtype == in_onnx.dtype == np.float32
    assert in_torch.shape == in_onnx.shape == (len(tokens), model.manifest.hidden_size)
    np.testing.assert_allclose(in_onnx, in_torch, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", get_args(RuntimeName))
def test_what_stands_in_the_padding_does_not_matter(tiny_int8_model: Path, name: RuntimeName) -> None:
    runtime = load_runtime(name, ModelDirectory.open(tiny_int8_model, TASKS_FILE))
    mask = np.array([[1, 1, 1, 0, 0]])
    zeros, others = (runtime.run(np.array([[2, 50, 3, pad, pad]]), mask) for pad in (0, 77))
    alone = runtime.run(np.array([[2, 50, 3]]), np.array([[1, 1, 1]]))
    np.testing.assert_allclose(others, zeros, rtol=0, atol=1e-5)
    np.testing.assert_allclose(alone, zeros, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", get_args(RuntimeName))
@pytest.mark.parametrize("file", ["encoder.safetensors", "encoder.int8.onnx", "tokenizer.json"])
def test_a_runtime_checks_the_files_that_it_reads_and_no_others(
    tiny_int8_model: Path, tmp_path: Path, name: RuntimeName, file: str
) -> None:
    path = shutil.copytree(tiny_int8_model, tmp_path / "model")
    (path / file).write_bytes(b"altered")
    model = ModelDirectory.open(path, TASKS_FILE)
    if file == ("encoder.int8.onnx" if name == "onnx-int8" else "encoder.safetensors"):
        assert_refused(lambda: load_runtime(name, model), file)
    else:
        load_runtime(name, model)


def test_a_model_without_an_encoder_in_8_bits_is_refused(tiny_model: Path) -> None:
    model = ModelDirectory.open(tiny_model, TASKS_FILE)
    assert_refused(lambda: load_runtime("onnx-int8", model), "lists no encoder.int8.onnx")


def test_8_bits_are_the_choice_where_a_model_has_them(tiny_model: Path, tiny_int8_model: Path) -> None:
    expected: dict[Path, RuntimeName] = {tiny_model: "onnx", tiny_int8_model: "onnx-int8"}
    for path, name in expected.items():
        model = ModelDirectory.open(path, TASKS_FILE)
        assert chosen_runtime("auto", model) == name
        assert chosen_runtime("torch", model) == "torch"
        tokens = random_tokens(seed=1)
        chosen = Encoder(load_runtime("auto", model))(tokens)
        np.testing.assert_array_equal(chosen, Encoder(load_runtime(name, model))(tokens))


def test_8_bits_pool_nearly_alike_and_the_same_alone_as_in_company(tiny_int8_model: Path) -> None:
    model = ModelDirectory.open(tiny_int8_model, TASKS_FILE)
    tokens = random_tokens(seed=1)
    exact, rounded = (Encoder(load_runtime(name, model))(tokens) for name in ("onnx", "onnx-int8"))
    assert np.sqrt(np.mean((rounded - exact) ** 2)) < 0.1 * exact.std()
    assert not np.array_equal(rounded, exact)
    encoder = Encoder(load_runtime("onnx-int8", model))
    starts = tokens.starts
    for row, length in enumerate(tokens.lengths):
        alone = encoder(TokenBatch.from_rows([tokens.ids[starts[row] : starts[row] + length].tolist()]))
        np.testing.assert_allclose(alone[0], rounded[row], rtol=0, atol=1e-4)


def test_an_encoder_that_is_no_onnx_graph_is_refused(model_path: Path) -> None:
    (model_path / "encoder.onnx").write_bytes(b"no graph")
    vouch_for(model_path, "encoder.onnx")
    model = ModelDirectory.open(model_path, TASKS_FILE)
    assert_refused(lambda: load_runtime("onnx", model), "cannot load encoder.onnx")


ANNOTATE = """
import json, pathlib, sys
from graph.model_directory import ModelDirectory
from graph.pipeline import load_pipeline
model, tasks = map(pathlib.Path, sys.argv[1:])
annotations = load_pipeline(ModelDirectory.open(model, tasks))(["dog"])
print(json.dumps({"annotations": len(annotations), "modules": sorted(sys.modules)}))
"""


def test_the_onnx_path_loads_neither_torch_nor_transformers_nor_ray(tiny_model: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ANNOTATE, str(tiny_model), str(TASKS_FILE)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    answer = json.loads(done.stdout)
    assert answer["annotations"] == 1
    assert {"graph", "onnxruntime"} <= set(answer["modules"])
    assert {"torch", "transformers", "onnx", "sklearn", "ray", "starlette", "serving", "training"}.isdisjoint(
        answer["modules"]
    )
