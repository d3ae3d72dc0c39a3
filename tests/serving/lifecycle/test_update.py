import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.lifecycle import launch, update
from serving.settings import PROJECT

CONFIG = PROJECT / "serve_config.yaml"


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In place of Serve's command line: notes what is asked of it; the application runs."""
    asked: list[str] = []

    def run(command: list[Any], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(str(command[1]))
        status = {"applications": {"annotator": {"status": "DEPLOYING" if len(asked) < 3 else "RUNNING"}}}
        return subprocess.CompletedProcess(command, 0, yaml.safe_dump(status), "")

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr(update, "PAUSE_SECONDS", 0)
    return asked


def test_a_config_is_deployed_and_waited_for(serve: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert update.main([str(CONFIG)]) == 0
    assert serve == ["deploy", "status", "status"]
    assert capsys.readouterr().out == "updated\n"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"user_config": {"thresholds": {"no_such_task": 0.5}}}, "no_such_task"),
        ({"user_config": {"limits": {"body_bytes": 0}}}, "body_bytes"),
    ],
)
def test_a_wrong_user_config_is_refused_before_anything_is_touched(
    serve: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    config = yaml.safe_load(CONFIG.read_text("utf-8"))
    config["applications"][0]["deployments"][0].update(change)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    assert update.main([str(path)]) == 1
    assert serve == []
    assert named in capsys.readouterr().err
    assert launch.main([str(path)]) == 1
    assert named in capsys.readouterr().err


def test_no_service_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "Traceback\nConnectionError: nobody there\n")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: failed)
    assert update.main([str(CONFIG)]) == 1
    assert capsys.readouterr().err == (
        "not updated: no service runs here, or it cannot be reached: ConnectionError: nobody there\n"
    )


def test_what_serve_gives_up_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    status = {"applications": {"annotator": {"status": "DEPLOY_FAILED", "message": "it\n broke"}}}
    done = subprocess.CompletedProcess([], 0, yaml.safe_dump(status), "")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: done)
    assert update.main([str(CONFIG)]) == 1
    assert capsys.readouterr().err == "not updated: Serve says: it broke\n"
