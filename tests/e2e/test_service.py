"""What a client sees of `make serve`: the contract of the original, every error, and the pipeline's own numbers."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from graph.pipeline import Pipeline
from serving.settings import PROJECT, Settings
from tests.e2e.contract import TASKS, annotations_of, assert_contract, chat_lines

INSULT = "why are you such a fool"

STRANGE = [
    "",
    " ",
    "\N{GRINNING FACE}",
    "\N{FAMILY}\N{ZERO WIDTH JOINER}\N{FIRE}" * 50,
    "x" * 10_000,
    "word " * 2_000,
    "\x00\x01\x07\x1b[31m\x7f\u2028",
    "\ufeff\u202eright to left",
    "<script>alert(1)</script>",
    '"; drop table utterances; --',
    "[CLS] [SEP] [MASK]",
    "ελληνικά и русский 日本語",
]


@pytest.fixture
def client(service: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service, timeout=30) as opened:
        yield opened


def test_nine_tasks_in_contract_order(client: httpx.Client) -> None:
    assert len(TASKS) == 9
    (annotation,) = annotations_of(client, ["i love you"])
    assert_contract(annotation)
    assert annotation["sentiment_classification"]["positive"] > 0.5


def test_the_toxic_rule_on_an_insult(client: httpx.Client) -> None:
    scores = annotations_of(client, [INSULT])[0]["toxic_classification"]
    assert scores["not_toxic"] == 0
    assert max(scores, key=lambda label: scores[label]) != "not_toxic"
    assert sum(scores.values()) == pytest.approx(1, abs=0.04)


def test_served_numbers_are_those_of_the_pipeline(client: httpx.Client, pipeline: Pipeline) -> None:
    lines = chat_lines() + STRANGE
    expected = pipeline(lines)
    alone = [annotations_of(client, [line])[0] for line in lines]
    together = annotations_of(client, lines)
    for exact, served_alone, served_together in zip(expected, alone, together, strict=True):
        for task, scores in exact.items():
            assert served_alone[task] == pytest.approx(scores, abs=0.01)
            assert served_together[task] == pytest.approx(scores, abs=0.01)


def test_batch_model_equals_model(client: httpx.Client) -> None:
    lines = chat_lines()[:20]
    histories = [["hello", f"before [SEP] {line}"] for line in lines]
    answer = client.post("/batch_model", json={"utterances_with_histories": histories})
    assert answer.json() == [{"batch": annotations_of(client, lines)}]


def test_nothing_asked_nothing_answered(client: httpx.Client) -> None:
    assert client.post("/model", json={"sentences": []}).json() == []
    assert client.post("/batch_model", json={"utterances_with_histories": []}).json() == [{"batch": []}]


def test_history_is_accepted_and_not_used(client: httpx.Client) -> None:
    body = {"sentences": ["hi"], "sentences_with_history": ["something quite different [SEP] hi"]}
    assert client.post("/model", json=body).json() == annotations_of(client, ["hi"])


@pytest.mark.parametrize("text", STRANGE, ids=range(len(STRANGE)))
def test_any_string_is_answered(client: httpx.Client, text: str) -> None:
    assert_contract(annotations_of(client, [text])[0])


def test_half_a_surrogate_pair_is_read_as_the_replacement_character(client: httpx.Client) -> None:
    answer = client.post("/model", content=rb'{"sentences": ["hi \ud800 there", "\ude00"]}')
    assert answer.status_code == 200
    assert answer.json() == annotations_of(client, ["hi \ufffd there", "\ufffd"])


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/model", b"", 400, ""),
        ("/model", b"{", 400, ""),
        ("/model", b'{"sentences": ["\xff\xfe"]}', 400, ""),
        ("/model", b"[" * 50_000, 400, ""),
        ("/model", b"[]", 422, "body"),
        ("/model", b"{}", 422, "sentences"),
        ("/model", b'{"sentences": "hi"}', 422, "sentences"),
        ("/model", b'{"sentences": null}', 422, "sentences"),
        ("/model", b'{"sentences": ["hi", 5]}', 422, "sentences[1]"),
        ("/model", b'{"sentences": ["hi"], "sentences_with_history": 1}', 422, "sentences_with_history"),
        ("/batch_model", b"{", 400, ""),
        ("/batch_model", b'{"sentences": ["hi"]}', 422, "utterances_with_histories"),
        ("/batch_model", b'{"utterances_with_histories": [["hi"], []]}', 422, "utterances_with_histories[1]"),
        ("/batch_model", b'{"utterances_with_histories": [[3]]}', 422, "utterances_with_histories[0][0]"),
        ("/nothing", b"{}", 404, "/nothing"),
        ("/health", b"{}", 405, "/health"),
    ],
)
def test_bad_input_gets_a_clear_error(client: httpx.Client, path: str, body: bytes, status: int, message: str) -> None:
    answer = client.post(path, content=body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"type", "message"}
    assert message in error["message"]


def test_too_large_a_body_is_refused(client: httpx.Client) -> None:
    body = json.dumps({"sentences": ["x" * Settings().body_bytes]})
    answer = client.post("/model", content=body)
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "body_too_large"


def test_many_sentences_come_back_in_order(client: httpx.Client) -> None:
    lines = chat_lines()
    singles = dict(zip(lines, annotations_of(client, lines), strict=True))
    many = lines * 10
    for line, annotation in zip(many, annotations_of(client, many), strict=True):
        for task, scores in singles[line].items():
            assert annotation[task] == pytest.approx(scores, abs=0.0101)


async def test_concurrent_requests_get_their_own_answers_and_a_bad_one_harms_nobody(
    service: str, pipeline: Pipeline
) -> None:
    lines = chat_lines()[:64]
    bad = 17

    async def ask(client: httpx.AsyncClient, number: int) -> httpx.Response:
        body: dict[str, Any] = {"sentences": [lines[number]] if number != bad else [lines[number], None]}
        return await client.post("/model", json=body)

    async with httpx.AsyncClient(base_url=service, timeout=30) as client:
        answers = await asyncio.gather(*(ask(client, number) for number in range(len(lines))))
    assert len(answers) == 64
    for number, (line, answer) in enumerate(zip(lines, answers, strict=True)):
        if number == bad:
            assert answer.status_code == 422
            assert "sentences[1]" in answer.json()["error"]["message"]
        else:
            assert answer.status_code == 200
            for task, scores in pipeline([line])[0].items():
                assert answer.json()[0][task] == pytest.approx(scores, abs=0.01)


def test_health_and_readiness(client: httpx.Client) -> None:
    assert client.get("/health").status_code == 200
    assert client.get("/ready").status_code == 200


@pytest.mark.usefixtures("service")
def test_no_replica_has_imported_torch_or_transformers() -> None:
    looked = subprocess.run(
        [sys.executable, "-m", "tests.e2e.imported_modules"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    modules: dict[str, list[str]] = json.loads(looked.stdout.splitlines()[-1])
    deployments = {name.split("#")[1] for name in modules}
    assert deployments >= {"Ingress", "Tokenizer", "Encoder"} | {f"Head_{task.name}" for task in TASKS}
    for replica, imported in modules.items():
        assert "numpy" in imported
        assert not {"torch", "transformers"} & set(imported), replica
    assert any("onnxruntime" in imported for imported in modules.values())


def test_the_modern_route_answers_the_pipeline_s_numbers(client: httpx.Client, pipeline: Pipeline) -> None:
    lines = chat_lines()[:40]
    answer = client.post("/v1/annotate", json={"inputs": lines})
    assert answer.status_code == 200
    assert answer.json()["model"] == {"name": "annotator", "version": client.get("/v1/model").json()["version"]}
    for annotation, exact in zip(answer.json()["annotations"], pipeline(lines), strict=True):
        for task, scores in exact.items():
            assert annotation["tasks"][task]["scores"] == pytest.approx(scores, abs=1e-4)


def test_chosen_tasks_beside_all_of_them(client: httpx.Client) -> None:
    asked = [TASKS[7].name, TASKS[2].name]
    answer = client.post("/v1/annotate", json={"inputs": "i love you", "tasks": asked, "top_k": 2})
    (annotation,) = answer.json()["annotations"]
    assert list(annotation["tasks"]) == [TASKS[2].name, TASKS[7].name]
    assert all(len(scores["scores"]) == 2 for scores in annotation["tasks"].values())


def test_a_text_over_the_limit_is_cut_or_refused(client: httpx.Client) -> None:
    limit = client.get("/v1/model").json()["max_tokens"]
    (cut,) = client.post("/v1/annotate", json={"inputs": "word " * 200}).json()["annotations"]
    assert (cut["tokens"], cut["truncated"]) == (limit, True)
    refused = client.post("/v1/annotate", json={"inputs": "word " * 200, "truncate": False})
    assert refused.status_code == 422
    assert refused.json()["error"]["type"] == "too_long"


def test_the_longest_utterances_that_are_taken_reach_the_tokenizer(client: httpx.Client) -> None:
    texts = [f"{i} " + "word " * 19_998 for i in range(60)]
    answer = client.post("/v1/annotate", json={"inputs": texts, "tasks": [TASKS[0].name]})
    assert answer.status_code == 200, answer.text
    assert all(annotation["truncated"] for annotation in answer.json()["annotations"])


def test_the_service_tells_its_tasks(client: httpx.Client) -> None:
    assert client.get("/v1/tasks").json() == {"tasks": [task.model_dump(mode="json") for task in TASKS]}


def test_an_answer_says_where_its_time_went(client: httpx.Client) -> None:
    header = client.post("/model", json={"sentences": ["i love you"]}).headers["server-timing"]
    durations = dict(entry.split(";dur=") for entry in header.split(", "))
    stages = {"queue", "tokenize", "tokenize-hop", "encode-wait", "encode", "encode-hop", "heads", "heads-hop", "merge"}
    assert set(durations) == stages | {"total"}
    assert all(float(duration) >= 0 for duration in durations.values())
