import httpx
import pytest

from serving.errors import Unavailable
from serving.observability import exposition

NODE_A = """\
# HELP ray_annotator_errors_total Errors.
# TYPE ray_annotator_errors_total counter
ray_annotator_errors_total{type="overloaded",WorkerId="a"} 2.0
# HELP ray_node_cpu_utilization CPU.
# TYPE ray_node_cpu_utilization gauge
ray_node_cpu_utilization{ip="a"} 7.0
# HELP ray_serve_deployment_queued_queries Queued.
# TYPE ray_serve_deployment_queued_queries gauge
ray_serve_deployment_queued_queries{deployment="Encoder"} 0.0
"""
NODE_B = """\
# HELP ray_annotator_errors_total Errors.
# TYPE ray_annotator_errors_total counter
ray_annotator_errors_total{type="overloaded",WorkerId="b"} 3.0
"""
BOTH = """\
# HELP ray_annotator_errors_total Errors.
# TYPE ray_annotator_errors_total counter
ray_annotator_errors_total{type="overloaded",WorkerId="a"} 2.0
ray_annotator_errors_total{type="overloaded",WorkerId="b"} 3.0
# HELP ray_serve_deployment_queued_queries Queued.
# TYPE ray_serve_deployment_queued_queries gauge
ray_serve_deployment_queued_queries{deployment="Encoder"} 0.0
"""


def test_families_of_all_nodes_are_joined_and_others_left_out() -> None:
    assert exposition.join([NODE_A, NODE_B]) == BOTH
    assert exposition.join([]) == ""


async def test_the_route_answers_prometheus_and_looks_once_a_second_at_most(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[None] = []

    def node_texts() -> list[str]:
        looked.append(None)
        return [NODE_A, NODE_B]

    monkeypatch.setattr(exposition, "node_texts", node_texts)
    monkeypatch.setattr(exposition, "FRESH_SECONDS", 3600)
    for _ in range(3):
        answer = await client.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert answer.text == BOTH
    assert len(looked) == 1


def test_a_node_that_does_not_answer_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = {"Alive": True, "NodeManagerAddress": "127.0.0.1", "MetricsExportPort": 1}
    gone = dead | {"Alive": False}
    monkeypatch.setattr("ray.nodes", lambda: [dead, gone])
    with pytest.raises(Unavailable):
        exposition.node_texts()
