from pathlib import Path

import pytest
import ray
import yaml
from ray.serve.schema import ApplicationStatus

from serving.lifecycle import cluster
from serving.lifecycle.preflight import StartError
from serving.settings import PROJECT

CONFIG = PROJECT / "serve_config.yaml"


def test_a_cluster_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cluster, "vital_processes", lambda: [1, 2])
    monkeypatch.setattr(cluster, "ADDRESS", tmp_path / "address")
    with pytest.raises(StartError, match=r"^the service is still starting$"):
        cluster.connect()
    (tmp_path / "address").write_text("127.0.0.1:9", "utf-8")

    def refuse(address: str, **_: object) -> None:
        raise ConnectionError(f"nobody\n at {address}")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(StartError, match=r"^the service cannot be reached: nobody at 127\.0\.0\.1:9$"):
        cluster.connect()


def test_a_mistake_that_only_serve_knows_is_named(tmp_path: Path) -> None:
    config = yaml.safe_load(CONFIG.read_text("utf-8"))
    config["applications"][0]["deployments"][0]["max_ongoing_requests"] = "many"
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    with pytest.raises(StartError, match=r"deployments\.0\.max_ongoing_requests: Input should be a valid integer"):
        cluster.read_schema(path)


def test_a_failure_that_passes_is_waited_out(states: list[ApplicationStatus]) -> None:
    states += [ApplicationStatus.DEPLOY_FAILED, ApplicationStatus.DEPLOYING, ApplicationStatus.RUNNING]
    cluster.wait_until_running(30)
    assert states == [ApplicationStatus.RUNNING]


def test_an_application_that_never_runs_ends_the_wait(states: list[ApplicationStatus]) -> None:
    states.append(ApplicationStatus.DEPLOYING)
    with pytest.raises(StartError, match=r"does not run after 0\.1 s"):
        cluster.wait_until_running(0.1)
