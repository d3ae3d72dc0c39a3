"""What an operator sees of the real service: metrics, request ids, logs; and what nobody may see in them."""

import re
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.lifecycle.launch import LOGS
from serving.settings import PROJECT

SECRET = "zyxwv my bank account is 12345"
# Ray looks at its processes every ten seconds.
PATIENCE_SECONDS = 40
OURS = {
    "ray_annotator_request_seconds",
    "ray_annotator_errors",
    "ray_annotator_stage_seconds",
    "ray_annotator_batch_utterances",
    "ray_annotator_utterances",
    "ray_annotator_tokens",
    "ray_annotator_truncated_utterances",
    "ray_annotator_waiting_utterances",
}

Samples = dict[str, list[tuple[dict[str, str], float]]]


@pytest.fixture
def client(service: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service, timeout=30) as opened:
        yield opened


def scrape(client: httpx.Client) -> Samples:
    """The samples of every family by their own name, such as `..._count`."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert SECRET not in answer.text
    samples: Samples = {}
    families = [family for family in text_string_to_metric_families(answer.text) if family.samples]
    assert len({family.name for family in families}) == len(families)
    for family in families:
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    return samples


def total(samples: Samples, name: str, **labels: str) -> float:
    return sum(value for found, value in samples.get(name, []) if labels.items() <= found.items())


def test_metrics_follow_what_happened(client: httpx.Client) -> None:
    client.post("/model", json={"sentences": [SECRET]})
    time.sleep(PATIENCE_SECONDS / 4)
    before = scrape(client)
    for _ in range(3):
        assert client.post("/model", json={"sentences": [SECRET, "word " * 100]}).status_code == 200
    assert client.post("/v1/annotate", json={"inputs": SECRET, "tasks": [SECRET]}).status_code == 422
    assert client.post(f"/{SECRET}").status_code == 404

    def grown(name: str, **labels: str) -> float:
        return total(after, name, **labels) - total(before, name, **labels)

    for _ in range(PATIENCE_SECONDS):
        after = scrape(client)
        if grown("ray_annotator_request_seconds_count", route="none", status="404") >= 1:
            break
        threading.Event().wait(1)
    assert grown("ray_annotator_request_seconds_count", route="/model", status="200") == 3
    assert grown("ray_annotator_request_seconds_count", route="/v1/annotate", status="422") == 1
    assert grown("ray_annotator_errors_total", type="invalid_field") == 1
    assert grown("ray_annotator_utterances_total") == 6
    assert grown("ray_annotator_tokens_total") > 3 * 32
    assert grown("ray_annotator_batch_utterances_count") == 3
    assert grown("ray_annotator_truncated_utterances_total") == 3
    for stage in ("queue", "tokenize", "encode", "heads", "encode-hop"):
        assert grown("ray_annotator_stage_seconds_count", stage=stage) == 3
    assert total(after, "ray_annotator_waiting_utterances") == 0
    names = {re.sub(r"_(count|sum|bucket|total)$", "", name) for name in after}
    assert names >= OURS
    assert any(name.startswith("ray_serve_deployment") for name in names)


def test_no_log_holds_an_utterance(client: httpx.Client) -> None:
    mark = "utterance-mark-7f3a"
    assert client.post("/model", json={"sentences": [mark]}).status_code == 200
    assert client.post("/model", json={"sentences": mark}).status_code == 422
    assert client.post("/v1/annotate", json={"inputs": [mark], "tasks": [mark], mark: mark}).status_code == 422
    assert client.post("/model", content=f'{{"sentences": ["{mark}"').status_code == 400
    logs = [*LOGS.rglob("*"), PROJECT / "runs" / "service.log"]
    read = [path for path in logs if path.is_file()]
    assert any("Ingress" in path.name for path in read)
    assert [path for path in read if mark in path.read_text("utf-8", "replace")] == []


@pytest.mark.parametrize(("path", "status"), [("/v1/tasks", 200), ("/nothing", 404)])
def test_request_ids_go_in_and_out(client: httpx.Client, path: str, status: int) -> None:
    named = client.get(path, headers={"X-Request-ID": "turn-17"})
    assert named.status_code == status
    assert named.headers.get_list("x-request-id") == ["turn-17"]
    made = {
        client.get(path, headers={"X-Request-ID": "not usable"}).headers["x-request-id"],
        client.get(path).headers["x-request-id"],
    }
    assert len(made) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in made)
