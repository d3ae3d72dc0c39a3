from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from graph.pipeline import Pipeline
from serving.binary_tensors import JSON_LENGTH, read_strings, write_strings
from serving.description import Description
from serving.errors import Unavailable
from tests.serving.local import BODY_BYTES, POISON, LocalTrip

INFER = "/v2/models/annotator/infer"
TEXTS = ["what do you think", "", "i love dogs \N{GRINNING FACE}"]
RULED = "toxic_classification"


def asking(texts: Sequence[str], **more: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": list(texts)}], **more}


def binary(texts: Sequence[str], **more: Any) -> dict[str, Any]:
    """Body and headers of a request whose tensor stands behind the JSON."""
    tensor = write_strings(texts)
    described = {"name": "text", "datatype": "BYTES", "shape": [len(texts)]}
    text = orjson.dumps({"inputs": [described | {"parameters": {"binary_data_size": len(tensor)}}], **more})
    return {"content": text + tensor, "headers": {JSON_LENGTH: str(len(text))}}


def tensors(answer: httpx.Response) -> dict[str, NDArray[Any]]:
    """The outputs, wherever they stand, as the protocol's clients read them."""
    assert answer.status_code == 200, answer.text
    length = int(answer.headers.get(JSON_LENGTH, len(answer.content)))
    behind = answer.content[length:]
    read: dict[str, NDArray[Any]] = {}
    for output in orjson.loads(answer.content[:length])["outputs"]:
        if "data" in output:
            flat = np.array(output["data"], np.float32 if output["datatype"] == "FP32" else object)
        else:
            size = output["parameters"]["binary_data_size"]
            mine, behind = behind[:size], behind[size:]
            strings = output["datatype"] == "BYTES"
            flat = np.array(read_strings("", mine), object) if strings else np.frombuffer(mine, "<f4")
        read[output["name"]] = flat.reshape(output["shape"])
    assert behind == b""
    return read


async def test_the_server_tells_its_name_and_extensions(client: httpx.AsyncClient) -> None:
    about = (await client.get("/v2")).json()
    assert about["name"] == "annotator"
    assert "binary_tensor_data" in about["extensions"]


async def test_the_model_tells_its_tensors_and_labels(
    client: httpx.AsyncClient, local: LocalTrip, description: Description
) -> None:
    model = (await client.get("/v2/models/annotator")).json()
    assert model["versions"] == [description.version]
    assert model["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    for output, task in zip(model["outputs"], local.pipeline.tasks, strict=True):
        assert (output["name"], output["shape"]) == (task.name, [-1, len(task.labels)])
        assert output["parameters"]["labels"] == list(task.labels)
    assert (await client.get(f"/v2/models/annotator/versions/{description.version}")).json() == model


async def test_health_and_readiness(client: httpx.AsyncClient, local: LocalTrip) -> None:
    ready = ["/v2/health/ready", "/v2/models/annotator/ready"]
    for path in ["/v2/health/live", *ready]:
        assert (await client.get(path)).status_code == 200
    local.error = Unavailable("not yet")
    assert (await client.get("/v2/health/live")).status_code == 200
    for path in ready:
        answer = await client.get(path)
        assert answer.status_code == 503
        assert answer.json() == {"error": "not yet"}
        assert "retry-after" in answer.headers


@pytest.mark.parametrize("binary_in", [False, True])
@pytest.mark.parametrize("binary_out", [False, True])
async def test_scores_are_the_pipeline_s_in_json_and_binary(
    client: httpx.AsyncClient, tiny_pipeline: Pipeline, binary_in: bool, binary_out: bool
) -> None:
    wanted = {"parameters": {"binary_data_output": binary_out}}
    request = binary(TEXTS, **wanted) if binary_in else {"json": asking(TEXTS, **wanted)}
    answer = await client.post(INFER, **request)
    assert (JSON_LENGTH in answer.headers) is binary_out
    served = tensors(answer)
    exact = tiny_pipeline.probabilities(TEXTS)
    assert list(served) == list(exact)
    for task, scores in exact.items():
        np.testing.assert_array_equal(served[task], scores)


async def test_only_the_outputs_asked_for_are_computed_and_come_in_their_order(
    client: httpx.AsyncClient, local: LocalTrip
) -> None:
    names = list(local.pipeline.heads)
    outputs = [{"name": names[5]}, {"name": names[2], "parameters": {"binary_data": True}}]
    served = tensors(await client.post(INFER, json=asking(["a"], outputs=outputs)))
    assert list(served) == [names[5], names[2]]
    assert local.heads == [[names[2], names[5]]]
    exact = local.pipeline.probabilities(["a"])
    for name in served:
        np.testing.assert_array_equal(served[name], exact[name])


async def test_an_output_can_stand_in_the_json_though_the_others_do_not(client: httpx.AsyncClient) -> None:
    outputs = [{"name": RULED, "parameters": {"binary_data": False}}, {"name": "factoid_classification"}]
    body = asking(["a"], outputs=outputs, parameters={"binary_data_output": True})
    answer = await client.post(INFER, json=body)
    told = orjson.loads(answer.content[: int(answer.headers[JSON_LENGTH])])["outputs"]
    assert [set(output) - {"name", "datatype", "shape"} for output in told] == [{"data"}, {"parameters"}]
    assert len(tensors(answer)) == 2


@pytest.mark.parametrize("binary_out", [False, True])
async def test_labels_are_ranked_where_a_classification_is_asked_for(
    client: httpx.AsyncClient, tiny_pipeline: Pipeline, binary_out: bool
) -> None:
    output: dict[str, Any] = {"name": RULED, "parameters": {"classification": 3, "binary_data": binary_out}}
    ranked = tensors(await client.post(INFER, json=asking(TEXTS, outputs=[output])))[RULED]
    assert ranked.shape == (3, 3)
    labels = tiny_pipeline.heads[RULED].task.labels
    for row, scores in zip(ranked, tiny_pipeline.probabilities(TEXTS)[RULED], strict=True):
        order = sorted(range(len(labels)), key=lambda i: -scores[i])[:3]
        for string, i in zip(row, order, strict=True):
            score, index, label = string.split(":")
            assert (np.float32(score), int(index), label) == (scores[i], i, labels[i])
    output["parameters"]["classification"] = 1e300
    every = tensors(await client.post(INFER, json=asking(TEXTS, outputs=[output])))[RULED]
    assert every.shape == (3, len(labels))


async def test_raw_scores_are_those_before_the_rule(client: httpx.AsyncClient, tiny_pipeline: Pipeline) -> None:
    body = asking(TEXTS, outputs=[{"name": RULED}], parameters={"raw_scores": True})
    raw = tensors(await client.post(INFER, json=body))[RULED]
    np.testing.assert_array_equal(raw, tiny_pipeline.heads[RULED].probabilities(tiny_pipeline.pooled(TEXTS)))
    assert (raw != tiny_pipeline.probabilities(TEXTS)[RULED]).any()


async def test_no_text_no_rows(client: httpx.AsyncClient, local: LocalTrip) -> None:
    for request in ({"json": asking([])}, binary([])):
        served = tensors(await client.post(INFER, **request))
        assert {name: rows.shape for name, rows in served.items()} == {
            task.name: (0, len(task.labels)) for task in local.pipeline.tasks
        }
    assert local.batches == []


@pytest.mark.parametrize("data", [["a", "b"], [["a"], ["b"]]])
async def test_a_column_of_texts_is_taken_flat_or_nested(client: httpx.AsyncClient, data: list[Any]) -> None:
    body = asking(["a", "b"], outputs=[{"name": RULED}])
    flat = tensors(await client.post(INFER, json=body))[RULED]
    body["inputs"][0] |= {"shape": [2, 1], "data": data}
    np.testing.assert_array_equal(tensors(await client.post(INFER, json=body))[RULED], flat)


async def test_the_answer_names_request_and_weights(client: httpx.AsyncClient, description: Description) -> None:
    for path in (INFER, f"/v2/models/annotator/versions/{description.version}/infer"):
        answer = (await client.post(path, json=asking(["a"], id="seven"))).json()
        assert (answer["id"], answer["model_name"]) == ("seven", "annotator")
        assert answer["model_version"] == description.version
    assert "id" not in (await client.post(INFER, json=asking(["a"]))).json()


async def test_what_other_servers_know_is_passed_over(client: httpx.AsyncClient) -> None:
    body = asking(["a"], model_name="annotator", parameters={"priority": 1, "sequence_id": 7})
    body["inputs"][0]["parameters"] = {"content_type": "str"}
    assert (await client.post(INFER, json=body)).status_code == 200


async def test_an_answer_says_where_its_time_went(client: httpx.AsyncClient) -> None:
    header = (await client.post(INFER, json=asking(["a"]))).headers["server-timing"]
    assert [entry.partition(";")[0] for entry in header.split(", ")] == [
        "queue",
        "tokenize",
        "encode",
        "heads",
        "merge",
        "total",
    ]


def tensor(**changes: Any) -> dict[str, Any]:
    (described,) = asking(["a"])["inputs"]
    return {"inputs": [{name: value for name, value in (described | changes).items() if value is not None}]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "inputs"),
        ({"inputs": []}, "inputs"),
        ({"inputs": asking(["a"])["inputs"] * 2}, "inputs"),
        (tensor(name="words"), "inputs[0].name"),
        (tensor(datatype="FP32"), "inputs[0].datatype"),
        (tensor(shape=[]), "inputs[0].shape"),
        (tensor(shape=[2]), "inputs[0].shape"),
        (tensor(shape=[1, 2]), "inputs[0].shape"),
        (tensor(shape=[1, 1, 1]), "inputs[0].shape"),
        (tensor(shape=[-1]), "inputs[0].shape[0]"),
        (tensor(shape=[True]), "inputs[0].shape[0]"),
        (tensor(data=None), "inputs[0]"),
        (tensor(data="a"), "inputs[0].data"),
        (tensor(data=[1]), "inputs[0].data[0]"),
        (tensor(data=[["a"], "b"], shape=[2]), "inputs[0].data[0]"),
        (tensor(data=[[["a"]]]), "inputs[0].data[0]"),
        (tensor(data=[["a", "b"]], shape=[2]), "inputs[0].data[0]"),
        (tensor(parameters={"binary_data_size": 5}), "inputs[0]"),
        (tensor(data=None, parameters={"shared_memory_region": "a"}), "inputs[0]"),
        (tensor(data=None, parameters={"binary_data_size": 5}), "inputs[0].parameters.binary_data_size"),
        (asking(["a"], outputs=[{"name": "no_such"}]), "outputs[0].name"),
        (asking(["a"], outputs=[{"name": RULED}] * 2), "outputs[1].name"),
        (asking(["a"], outputs=[{"name": RULED, "parameters": {"classification": 0}}]), "outputs[0].parameters"),
        (asking(["a"], parameters={"raw_scores": 1}), "parameters.raw_scores"),
        (asking(["a"], id=5), "id"),
        (asking(["word " * 80], parameters={"truncate": False}), "text[0]"),
    ],
)
async def test_a_bad_request_is_told_what_is_wrong(
    client: httpx.AsyncClient, body: dict[str, Any], message: str
) -> None:
    answer = await client.post(INFER, json=body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}
    assert answer.json()["error"].startswith(message)


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", INFER, b"{", 400),
        ("POST", INFER, b"[]", 400),
        ("POST", INFER, b" " * (BODY_BYTES + 1), 413),
        ("POST", "/v2/models/other/infer", b"{}", 404),
        ("POST", "/v2/models/annotator/versions/1/infer", b"{}", 404),
        ("GET", "/v2/models/other", b"", 404),
        ("GET", "/v2/models/other/ready", b"", 404),
        ("GET", "/v2/nothing", b"", 404),
        ("GET", INFER, b"", 405),
        ("POST", "/v2", b"", 405),
        ("POST", INFER, orjson.dumps(asking([POISON])), 500),
    ],
)
async def test_errors_have_the_protocol_s_shape(
    client: httpx.AsyncClient, method: str, path: str, content: bytes, status: int
) -> None:
    answer = await client.request(method, path, content=content)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"headers": {JSON_LENGTH: "9999"}}, JSON_LENGTH),
        ({"headers": {JSON_LENGTH: "-1"}}, JSON_LENGTH),
        ({"headers": {JSON_LENGTH: "3"}}, "the body is not JSON"),
        ({"headers": {}}, "the body is not JSON"),
        ({"content": binary(["abc"])["content"] + b"x"}, "inputs[0].parameters.binary_data_size"),
        ({"content": binary(["abc"])["content"][:-1]}, "inputs[0].parameters.binary_data_size"),
        ({"content": binary(["abc"])["content"][:-1] + b"\xff"}, "text[0]: it is not UTF-8"),
        ({"content": binary(["abc"])["content"].replace(b"\x03", b"\x09")}, "text[0]: it is cut off"),
    ],
)
async def test_a_broken_binary_request_is_told_what_is_wrong(
    client: httpx.AsyncClient, change: dict[str, Any], message: str
) -> None:
    answer = await client.post(INFER, **(binary(["abc"]) | change))
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(message)
