from typing import Any

import httpx
import numpy as np
import pytest

from graph.pipeline import Pipeline
from serving.description import Description
from tests.serving.local import LocalTrip

LONG = "word " * 80
RULED = "toxic_classification"


async def annotate(client: httpx.AsyncClient, **body: Any) -> list[dict[str, Any]]:
    answer = await client.post("/v1/annotate", json=body)
    assert answer.status_code == 200, answer.text
    annotations: list[dict[str, Any]] = answer.json()["annotations"]
    return annotations


async def test_one_text_or_a_list_is_answered_with_a_list_at_full_precision(
    client: httpx.AsyncClient, tiny_pipeline: Pipeline
) -> None:
    texts = ["what do you think", "", "i love dogs \N{GRINNING FACE}"]
    together = await annotate(client, inputs=texts)
    for text, annotation, exact in zip(texts, together, tiny_pipeline(texts), strict=True):
        (alone,) = await annotate(client, inputs=text)
        assert alone["tokens"] == annotation["tokens"]
        assert {task: scores["scores"] for task, scores in annotation["tasks"].items()} == exact
        assert list(annotation["tasks"]) == list(exact)
        for task, scores in exact.items():
            assert list(annotation["tasks"][task]["scores"]) == list(scores)
            assert alone["tasks"][task]["scores"] == pytest.approx(scores, abs=1e-5)
            assert annotation["tasks"][task]["label"] == max(scores, key=lambda label: scores[label])
    assert await annotate(client, inputs=[]) == []


async def test_the_answer_names_the_weights(client: httpx.AsyncClient, description: Description) -> None:
    answer = (await client.post("/v1/annotate", json={"inputs": "a"})).json()
    assert answer["model"] == {"name": "annotator", "version": description.version}
    assert len(description.version) == 12


async def test_only_the_tasks_asked_for_are_computed_and_come_in_contract_order(
    client: httpx.AsyncClient, local: LocalTrip
) -> None:
    names = list(local.pipeline.heads)
    (annotation,) = await annotate(client, inputs="a", tasks=[names[5], names[2]])
    assert list(annotation["tasks"]) == [names[2], names[5]]
    assert local.heads == [[names[2], names[5]]]


async def test_top_k_are_the_highest_with_the_highest_first(client: httpx.AsyncClient) -> None:
    (full,) = await annotate(client, inputs="hello")
    (cut,) = await annotate(client, inputs="hello", top_k=3)
    for task, scores in full["tasks"].items():
        ranked = sorted(scores["scores"].items(), key=lambda pair: -pair[1])[:3]
        assert list(cut["tasks"][task]["scores"].items()) == ranked
        assert cut["tasks"][task]["label"] == ranked[0][0]


async def test_a_threshold_leaves_out_lower_scores_but_not_the_label(client: httpx.AsyncClient) -> None:
    (full,) = await annotate(client, inputs="hello")
    (cut,) = await annotate(client, inputs="hello", threshold=0.3)
    for task, scores in full["tasks"].items():
        kept = {label: score for label, score in scores["scores"].items() if score >= 0.3}
        assert cut["tasks"][task] == {"label": scores["label"], "scores": kept}
    (nothing,) = await annotate(client, inputs="hello", threshold=1, top_k=2)
    assert all(scores["scores"] == {} for scores in nothing["tasks"].values())


async def test_raw_scores_are_those_before_the_rule(client: httpx.AsyncClient, tiny_pipeline: Pipeline) -> None:
    texts = [f"line {i} of many" for i in range(20)]
    task = tiny_pipeline.heads[RULED].task
    assert task.rule
    raw = await annotate(client, inputs=texts, tasks=[RULED], raw_scores=True)
    ruled = await annotate(client, inputs=texts, tasks=[RULED])
    before = tiny_pipeline.heads[RULED].probabilities(tiny_pipeline.pooled(texts))
    assert (before[:, task.labels.index(task.rule.drop_below.label)] < 0.5).any()
    for annotation, row in zip(raw, before.tolist(), strict=True):
        assert list(annotation["tasks"][RULED]["scores"].values()) == row
    for annotation, exact in zip(ruled, tiny_pipeline(texts), strict=True):
        assert annotation["tasks"][RULED]["scores"] == exact[RULED]


async def test_a_long_text_is_cut_and_says_so(client: httpx.AsyncClient, tiny_pipeline: Pipeline) -> None:
    short, long = await annotate(client, inputs=["hello", LONG])
    assert short["tokens"] == tiny_pipeline.tokenizer(["hello"]).lengths[0]
    assert not short["truncated"]
    assert (long["tokens"], long["truncated"]) == (32, True)


async def test_a_long_text_is_refused_before_anything_is_computed_where_cutting_is_forbidden(
    client: httpx.AsyncClient, tiny_pipeline: Pipeline, local: LocalTrip
) -> None:
    answer = await client.post("/v1/annotate", json={"inputs": ["hello", LONG], "truncate": False})
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["type"] == "too_long"
    (tokens,) = tiny_pipeline.tokenizer([LONG]).uncut
    assert f"inputs[1] has {tokens} tokens, the limit is 32" in error["message"]
    assert local.batches == []
    kept = await client.post("/v1/annotate", json={"inputs": ["hello"], "truncate": False})
    assert kept.status_code == 200
    assert kept.headers["server-timing"].startswith("check;dur=")
    assert local.batches == [["hello"]]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "inputs"),
        ({"inputs": None}, "inputs"),
        ({"inputs": 5}, "inputs"),
        ({"inputs": ["a", 5]}, "inputs[1]"),
        ({"inputs": [["a"]]}, "inputs[0]"),
        ({"inputs": "a", "tasks": "b"}, "tasks"),
        ({"inputs": "a", "tasks": []}, "tasks"),
        ({"inputs": "a", "tasks": [RULED, "no_such_task"]}, "tasks[1]"),
        ({"inputs": "a", "tasks": [RULED, 1]}, "tasks[1]"),
        ({"inputs": "a", "tasks": [RULED, RULED]}, "tasks[1]"),
        ({"inputs": "a", "top_k": 0}, "top_k"),
        ({"inputs": "a", "top_k": 1.5}, "top_k"),
        ({"inputs": "a", "top_k": True}, "top_k"),
        ({"inputs": "a", "threshold": 1.01}, "threshold"),
        ({"inputs": "a", "threshold": "0.5"}, "threshold"),
        ({"inputs": "a", "raw_scores": 1}, "raw_scores"),
        ({"inputs": "a", "truncate": "yes"}, "truncate"),
        ({"inputs": "a", "topk": 1}, "topk"),
        ({"sentences": ["a"]}, "inputs"),
    ],
)
async def test_the_error_names_the_field(
    client: httpx.AsyncClient, local: LocalTrip, body: dict[str, Any], field: str
) -> None:
    answer = await client.post("/v1/annotate", json=body)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["type"] == "invalid_field"
    assert error["message"].partition(":")[0] == field
    assert local.batches == []


async def test_a_request_of_several_batches_comes_back_in_order(client: httpx.AsyncClient, local: LocalTrip) -> None:
    texts = [f"x{i}" for i in range(100)]
    annotations = await annotate(client, inputs=texts, tasks=[RULED])
    expected = local.pipeline.probabilities(texts)[RULED]
    assert len(local.batches) == 2
    served = [list(annotation["tasks"][RULED]["scores"].values()) for annotation in annotations]
    np.testing.assert_array_equal(np.array(served, np.float32), expected)
