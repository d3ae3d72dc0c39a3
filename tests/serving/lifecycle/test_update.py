from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve.schema import ApplicationStatus

from serving.lifecycle import application, cluster, launch, status, update
from serving.settings import PROJECT

CONFIG = PROJECT / "serve_config.yaml"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In place of a cluster: notes what is laid over the service that runs."""
    noted: list[str] = []
    monkeypatch.setattr(update, "connect", lambda: None)
    monkeypatch.setattr(update, "deploy", lambda config: noted.append(config.applications[0].name))
    monkeypatch.setattr(application, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(application, "FAILED_SECONDS", 0)
    return noted


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
    monkeypatch.setattr(cluster, "vital_processes", list)
    assert update.main([str(CONFIG)]) == 1
    assert capsys.readouterr().err == "not updated: no service of this folder runs; make serve starts one\n"
    assert status.main() == 1
    assert capsys.readouterr().err == "no service of this folder runs; make serve starts one\n"


def test_what_serve_gives_up_is_told(
    told: list[str], states: list[ApplicationStatus], capsys: pytest.CaptureFixture[str]
) -> None:
    states.append(ApplicationStatus.DEPLOY_FAILED)
    assert update.main([str(CONFIG)]) == 1
    assert told
    assert capsys.readouterr().err == "not updated: Serve says: it broke\n"
