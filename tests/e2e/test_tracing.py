"""What is off by default, on: traces, and a log line a request."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from serving.processes import our_processes
from serving.settings import PROJECT
from tests.e2e.conftest import URL, Service

LOGS = Path("/tmp/ray/session_latest/logs/serve")
SECRET = "what-a-user-said"


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The fused placement, every request of it traced and logged."""
    config = yaml.safe_load((PROJECT / "configs" / "serve" / "fused.yaml").read_text("utf-8"))
    config["tracing_config"] = {"enabled": True, "sampling_ratio": 1.0}
    config["logging_config"]["enable_access_log"] = True
    path = tmp_path_factory.mktemp("traced") / "config.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    served = Service(["make", "serve", f"CONFIG={path}"])
    try:
        served.wait_until_ready()
        with httpx.Client(base_url=URL, timeout=30) as client:
            yield client
    finally:
        served.press_ctrl_c()
    assert our_processes() == []


def spans() -> list[dict[str, Any]]:
    """What Serve's exporter has written: one JSON object behind the other."""
    found: list[dict[str, Any]] = []
    decoder = json.JSONDecoder()
    for path in (LOGS / "spans").iterdir():
        text = path.read_text("utf-8").strip()
        while text:
            span, end = decoder.raw_decode(text)
            found.append(span)
            text = text[end:].lstrip()
    return found


def test_the_stages_of_a_request_are_spans_of_its_trace(traced: httpx.Client) -> None:
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    headers = {"traceparent": f"00-{trace}-{parent}-01"}
    assert traced.post("/model", json={"sentences": [SECRET]}, headers=headers).status_code == 200
    ours = [span for span in spans() if span["context"]["trace_id"] == f"0x{trace}"]
    names = {span["name"] for span in ours}
    assert names > {f"annotator.{stage}" for stage in ("queue", "tokenize", "encode", "heads", "merge")}
    assert SECRET not in json.dumps(ours)


def test_a_log_line_has_the_id_of_its_request_and_no_utterance(traced: httpx.Client) -> None:
    answer = traced.post("/model", json={"sentences": [SECRET]}, headers={"X-Request-ID": "turn-42"})
    assert answer.headers["x-request-id"] == "turn-42"
    text = "".join(path.read_text("utf-8") for path in LOGS.glob("*Ingress*"))
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert [line for line in lines if line.get("request_id") == "turn-42"]
    assert SECRET not in text
