"""What is off by default, on: traces, and a log line a request."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import yaml

from serving.lifecycle.launch import LOGS
from serving.lifecycle.processes import our_processes
from serving.settings import PROJECT
from tests.e2e.conftest import URL, Service

SECRET = "what-a-user-said"


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The fused placement, every request of it traced and logged."""
    config = yaml.safe_load((PROJECT / "configs" / "serve" / "fused.yaml").read_text("utf-8"))
    config["tracing_config"] = {"enabled": True, "sampling_ratio": 1.0}
    config["logging_config"]["enable_access_log"] = True
    path = tmp_path_factory.mktemp("traced") / "config.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    # In the fast mode Serve writes its lines about requests a thousand at a time.
    served = Service(["make", "serve", f"CONFIG={path}"], {"RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1"})
    try:
        served.wait_until_ready()
        with httpx.Client(base_url=URL, timeout=30) as client:
            yield client
    finally:
        served.press_ctrl_c()
    assert our_processes() == []


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it holds within half a minute: spans and log lines are written when a replica finds time for it."""
    deadline = time.monotonic() + 30
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.2)
    return holds()


def spans() -> list[dict[str, Any]]:
    """What Serve's exporter has written: one JSON object behind the other."""
    found: list[dict[str, Any]] = []
    decoder = json.JSONDecoder()
    for path in (LOGS / "serve" / "spans").glob("*"):
        text = path.read_text("utf-8").strip()
        while text:
            try:
                span, end = decoder.raw_decode(text)
            except ValueError:  # it is being written
                break
            found.append(span)
            text = text[end:].lstrip()
    return found


def test_the_stages_of_a_request_are_spans_of_its_trace(traced: httpx.Client) -> None:
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    headers = {"traceparent": f"00-{trace}-{parent}-01"}
    assert traced.post("/model", json={"sentences": [SECRET]}, headers=headers).status_code == 200

    def ours() -> list[dict[str, Any]]:
        return [span for span in spans() if span["context"]["trace_id"] == f"0x{trace}"]

    stages = {f"annotator.{stage}" for stage in ("request", "queue", "tokenize", "encode", "heads", "merge")}
    assert eventually(lambda: {span["name"] for span in ours()} >= stages)
    assert SECRET not in json.dumps(ours())


def test_a_log_line_has_the_id_of_its_request_and_no_utterance(traced: httpx.Client) -> None:
    answer = traced.post("/model", json={"sentences": [SECRET]}, headers={"X-Request-ID": "turn-42"})
    assert answer.headers["x-request-id"] == "turn-42"

    def text() -> str:
        return "".join(path.read_text("utf-8") for path in (LOGS / "serve").glob("*Ingress*"))

    def logged() -> bool:
        lines = [json.loads(line) for line in text().splitlines() if line.startswith("{") and line.endswith("}")]
        return any(line.get("request_id") == "turn-42" for line in lines)

    assert eventually(logged)
    assert SECRET not in text()
