import httpx
import pytest

from graph.pipeline import Pipeline
from serving.errors import AnnotatorError, Unavailable
from tests.serving.local import BODY_BYTES, POISON, LocalTrip


async def test_model_answers_an_annotation_a_sentence(client: httpx.AsyncClient, tiny_pipeline: Pipeline) -> None:
    answer = await client.post("/model", json={"sentences": ["abc", ""]})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    for annotation, exact in zip(answer.json(), tiny_pipeline(["abc", ""]), strict=True):
        assert [(task, list(scores)) for task, scores in annotation.items()] == [(t, list(s)) for t, s in exact.items()]
        for task, scores in exact.items():
            assert annotation[task] == pytest.approx(scores, abs=0.0051)
            assert all(round(score, 2) == score for score in annotation[task].values())


async def test_batch_model_answers_one_batch(client: httpx.AsyncClient) -> None:
    answer = await client.post("/batch_model", json={"utterances_with_histories": [["x", "x [SEP] four"]]})
    assert answer.json() == [{"batch": (await client.post("/model", json={"sentences": ["four"]})).json()}]


async def test_nothing_asked_nothing_answered(client: httpx.AsyncClient) -> None:
    assert (await client.post("/model", json={"sentences": []})).json() == []
    assert (await client.post("/batch_model", json={"utterances_with_histories": []})).json() == [{"batch": []}]


async def test_the_content_type_does_not_matter(client: httpx.AsyncClient) -> None:
    answer = await client.post("/model", content=b'{"sentences": ["a"]}', headers={"content-type": "text/plain"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("POST", "/model", b"{", 400, "malformed_json"),
        ("POST", "/model", b"{}", 422, "invalid_field"),
        ("POST", "/batch_model", b'{"utterances_with_histories": [[]]}', 422, "invalid_field"),
        ("POST", "/model", b" " * (BODY_BYTES + 1), 413, "body_too_large"),
        ("POST", "/v1/annotate", b" " * (BODY_BYTES + 1), 413, "body_too_large"),
        ("GET", "/model", b"", 405, "wrong_method"),
        ("GET", "/v1/annotate", b"", 405, "wrong_method"),
        ("POST", "/health", b"", 405, "wrong_method"),
        ("GET", "/nothing", b"", 404, "no_such_path"),
        ("POST", "/model/", b"", 404, "no_such_path"),
        ("POST", "/model", f'{{"sentences": ["{POISON}"]}}'.encode(), 500, "annotation_failed"),
    ],
)
async def test_errors_have_one_shape(
    client: httpx.AsyncClient, method: str, path: str, body: bytes, status: int, kind: str
) -> None:
    answer = await client.request(method, path, content=body)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"type", "message"}
    assert answer.json()["error"]["type"] == kind
    assert POISON not in answer.json()["error"]["message"]
    assert "total" in stages(answer)


async def test_a_bug_is_answered_and_logged_without_its_message(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(body: object) -> None:
        raise RuntimeError(f"the message of a bug may quote {body}")

    monkeypatch.setattr("serving.original.model_utterances", bug)
    answer = await client.post("/model", json={"sentences": ["what a user said"]})
    assert "a request failed: RuntimeError at" in caplog.text
    assert "what a user said" not in caplog.text
    assert answer.status_code == 500
    assert answer.json() == {"error": {"type": "annotation_failed", "message": "the request could not be answered"}}
    assert "total" in stages(answer)


async def test_who_may_try_again_is_told_when(client: httpx.AsyncClient, local: LocalTrip) -> None:
    local.error = Unavailable("not yet")
    answer = await client.post("/model", json={"sentences": ["a"]})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_wrong_method_is_told_the_right_one(client: httpx.AsyncClient) -> None:
    assert "POST" in (await client.get("/model")).headers["allow"]


async def test_ready_only_when_an_utterance_goes_through(client: httpx.AsyncClient, local: LocalTrip) -> None:
    assert (await client.get("/ready")).status_code == 200
    local.error = Unavailable("not yet")
    assert (await client.get("/ready")).status_code == 503
    assert (await client.get("/health")).status_code == 200


@pytest.mark.parametrize(("path", "body"), [("/model", {"sentences": ["a"]}), ("/v1/annotate", {"inputs": "a"})])
async def test_an_answer_says_where_its_time_went(client: httpx.AsyncClient, path: str, body: object) -> None:
    durations = stages(await client.post(path, json=body))
    assert list(durations) == ["queue", "tokenize", "encode", "heads", "merge", "total"]
    assert all(duration >= 0 for duration in durations.values())
    assert sum(durations.values()) - durations["total"] <= durations["total"] + 0.01


def stages(answer: httpx.Response) -> dict[str, float]:
    """The Server-Timing header: milliseconds by stage."""
    entries = (entry.split(";dur=") for entry in answer.headers["server-timing"].split(", "))
    return {name: float(duration) for name, duration in entries}


def test_every_error_has_a_type_of_its_own_and_a_status() -> None:
    errors = AnnotatorError.__subclasses__()
    assert len({error.type for error in errors}) == len(errors)
    assert all(400 <= error.status < 600 for error in errors)
