"""Triton's own client against the real service: the Open Inference Protocol, in JSON and in binary tensors."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import InferenceServerException

from graph.pipeline import Pipeline
from tests.e2e.contract import TASKS, chat_lines

MODEL = "annotator"
CHOSEN = [TASKS[7].name, TASKS[2].name]


@pytest.fixture
def triton(service: str) -> Iterator[InferenceServerClient]:
    client = InferenceServerClient(service.removeprefix("http://"), network_timeout=30)
    yield client
    client.close()


def text(lines: list[str], binary: bool, column: bool = False) -> InferInput:
    array = np.array(lines, dtype=object).reshape((-1, 1) if column else -1)
    return InferInput("text", list(array.shape), "BYTES").set_data_from_numpy(array, binary_data=binary)


def outputs(binary: bool, **more: Any) -> list[InferRequestedOutput]:
    return [InferRequestedOutput(name, binary_data=binary, **more) for name in CHOSEN]


def assert_scores(result: InferResult, exact: dict[str, NDArray[np.float32]]) -> None:
    for name, scores in exact.items():
        served = result.as_numpy(name)
        assert served.dtype == np.float32
        np.testing.assert_allclose(served, scores, atol=1e-5)


def test_health_readiness_and_metadata(triton: InferenceServerClient) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready(MODEL)
    assert "binary_tensor_data" in triton.get_server_metadata()["extensions"]
    model = triton.get_model_metadata(MODEL)
    assert triton.get_model_metadata(MODEL, model["versions"][0]) == model
    assert {output["name"]: output["parameters"]["labels"] for output in model["outputs"]} == {
        task.name: list(task.labels) for task in TASKS
    }


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("column", [True, False])
def test_all_tasks_are_the_pipeline_s_numbers(
    triton: InferenceServerClient, pipeline: Pipeline, binary: bool, column: bool
) -> None:
    lines = [*chat_lines()[:40], "", "\N{GRINNING FACE} ελληνικά"]
    result = triton.infer(MODEL, [text(lines, binary, column)], request_id="seven")
    assert result.get_response()["id"] == "seven"
    assert len(result.get_response()["outputs"]) == len(TASKS)
    assert_scores(result, pipeline.probabilities(lines))


@pytest.mark.parametrize("binary", [True, False])
def test_chosen_tasks(triton: InferenceServerClient, pipeline: Pipeline, binary: bool) -> None:
    lines = chat_lines()[:5]
    version = triton.get_model_metadata(MODEL)["versions"][0]
    result = triton.infer(MODEL, [text(lines, binary)], model_version=version, outputs=outputs(binary))
    assert [output["name"] for output in result.get_response()["outputs"]] == CHOSEN
    exact = pipeline.probabilities(lines)
    assert_scores(result, {name: exact[name] for name in CHOSEN})


@pytest.mark.parametrize("binary", [True, False])
def test_the_highest_labels(triton: InferenceServerClient, pipeline: Pipeline, binary: bool) -> None:
    result = triton.infer(MODEL, [text(["i love you"], True)], outputs=outputs(binary, class_count=2))
    (annotation,) = pipeline(["i love you"])
    for name in CHOSEN:
        ranked = sorted(annotation[name], key=lambda label: -annotation[name][label])[:2]
        served = [bytes(element) if binary else element.encode() for element in result.as_numpy(name)[0]]
        assert [element.decode().split(":")[2] for element in served] == ranked


def test_raw_scores(triton: InferenceServerClient, pipeline: Pipeline) -> None:
    lines = chat_lines()[:40]
    result = triton.infer(MODEL, [text(lines, True)], parameters={"raw_scores": True})
    pooled = pipeline.pooled(lines)
    assert_scores(result, {name: head.probabilities(pooled) for name, head in pipeline.heads.items()})


def infer(triton: InferenceServerClient, model: str = MODEL, **changes: Any) -> InferResult:
    return triton.infer(model, **({"inputs": [text(["a"], True)]} | changes))


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"model": "other"}, "404", "there is no model other"),
        ({"model_version": "7"}, "404", "of version 7"),
        ({"outputs": [InferRequestedOutput("no_such")]}, "400", "outputs[0].name"),
        ({"inputs": [InferInput("text", [1], "BYTES")]}, "400", "inputs[0]"),
        ({"inputs": [InferInput("words", [1], "BYTES")]}, "400", "inputs[0].name"),
        ({"inputs": [text(["\xff".encode("latin-1")], True)]}, "400", "text[0]: it is not UTF-8"),  # type: ignore[list-item]
        ({"inputs": [text(["word " * 80], True)], "parameters": {"truncate": False}}, "400", "text[0] has"),
        ({"parameters": {"raw_scores": "yes"}}, "400", "parameters.raw_scores"),
        ({"request_compression_algorithm": "gzip"}, "400", ""),
    ],
)
def test_errors_reach_the_client_with_their_status(
    triton: InferenceServerClient, changes: dict[str, Any], status: str, message: str
) -> None:
    with pytest.raises(InferenceServerException) as raised:
        infer(triton, **changes)
    assert raised.value.status() == status
    assert message in raised.value.message()
    assert infer(triton).get_response()["model_name"] == MODEL
