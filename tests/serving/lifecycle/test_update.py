from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from ray import serve
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview, ServeStatus

from serving.lifecycle import cluster, launch, status, update
from serving.lifecycle.preflight import StartError
from serving.settings import PROJECT

CONFIG = PROJECT / "serve_config.yaml"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In place of a cluster: notes what is laid over the service that runs."""
    noted: list[str] = []
    monkeypatch.setattr(update, "vital_processes", lambda: [1, 2])
    monkeypatch.setattr(update, "connect", lambda: None)
    monkeypatch.setattr(update, "deploy", lambda config: noted.append(config.applications[0].name))
    monkeypatch.setattr(cluster, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(cluster, "FAILED_SECONDS", 0)
    return noted


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> list[ApplicationStatus]:
    """What Serve says of the application, one look after the other; the last one stays."""
    coming: list[ApplicationStatus] = []

    def look() -> ServeStatus:
        state = coming.pop(0) if len(coming) > 1 else coming[0]
        return ServeStatus(applications={"annotator": ApplicationStatusOverview(state, "it\n broke", 0.0, {})})

    monkeypatch.setattr(serve, "status", look)
    return coming


def test_a_config_is_deployed_and_waited_for(
    told: list[str], states: list[ApplicationStatus], capsys: pytest.CaptureFixture[str]
) -> None:
    states += [ApplicationStatus.DEPLOYING, ApplicationStatus.RUNNING]
    assert update.main([str(CONFIG)]) == 0
    assert told == ["annotator"]
    assert states == [ApplicationStatus.RUNNING]
    assert capsys.readouterr().out == "updated\n"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"user_config": {"thresholds": {"no_such_task": 0.5}}}, "no_such_task"),
        ({"user_config": {"limits": {"body_bytes": 0}}}, "body_bytes"),
    ],
)
def test_a_wrong_user_config_is_refused_before_anything_is_touched(
    told: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    config = yaml.safe_load(CONFIG.read_text("utf-8"))
    config["applications"][0]["deployments"][0].update(change)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    assert update.main([str(path)]) == 1
    assert told == []
    assert named in capsys.readouterr().err
    assert launch.main([str(path)]) == 1
    assert named in capsys.readouterr().err


def test_no_service_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(update, "vital_processes", list)
    monkeypatch.setattr(status, "vital_processes", list)
    assert update.main([str(CONFIG)]) == 1
    assert capsys.readouterr().err == "not updated: no service of this folder runs; make serve starts one\n"
    assert status.main() == 1
    assert capsys.readouterr().err == "no service of this folder runs; make serve starts one\n"


def test_a_cluster_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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


def test_what_serve_gives_up_is_told(
    told: list[str], states: list[ApplicationStatus], capsys: pytest.CaptureFixture[str]
) -> None:
    states.append(ApplicationStatus.DEPLOY_FAILED)
    assert update.main([str(CONFIG)]) == 1
    assert told
    assert capsys.readouterr().err == "not updated: Serve says: it broke\n"


def test_a_failure_that_passes_is_waited_out(states: list[ApplicationStatus]) -> None:
    states += [ApplicationStatus.DEPLOY_FAILED, ApplicationStatus.DEPLOYING, ApplicationStatus.RUNNING]
    cluster.wait_until_running(30)
    assert states == [ApplicationStatus.RUNNING]


def test_an_application_that_never_runs_ends_the_wait(states: list[ApplicationStatus]) -> None:
    states.append(ApplicationStatus.DEPLOYING)
    with pytest.raises(StartError, match=r"does not run after 0\.1 s"):
        cluster.wait_until_running(0.1)
