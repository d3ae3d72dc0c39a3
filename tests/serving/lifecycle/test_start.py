from pathlib import Path

import pytest
from ray import serve

from serving.lifecycle import application, start
from serving.lifecycle.preflight import StartError
from serving.settings import PROJECT

CONFIG = str(PROJECT / "serve_config.yaml")


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In place of a cluster: notes what is done with it."""
    done: list[str] = []

    def start_ray(dashboard: bool) -> str:
        done.append("start")
        return "127.0.0.1:9"

    monkeypatch.setattr(start, "start_ray", start_ray)
    monkeypatch.setattr(start, "join", done.append)
    return done


def test_ray_is_started_joined_and_told_what_to_run(ray: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "run", lambda config: ray.append(config.applications[0].name))
    assert start.main([CONFIG]) == 0
    assert ray == ["start", "127.0.0.1:9", "annotator"]


def test_a_mistake_in_the_config_is_told_before_ray_is_started(
    ray: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("applications: many\n", "utf-8")
    assert start.main([str(tmp_path / "config.yaml")]) == 1
    assert ray == []
    assert "config.yaml: applications: " in capsys.readouterr().err


def test_what_does_not_run_is_one_line(
    ray: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise StartError("Serve says: it broke")

    monkeypatch.setattr(start, "run", fail)
    assert start.main([CONFIG]) == 1
    assert capsys.readouterr().err == "Serve says: it broke\n"


def test_front_ends_that_do_not_come_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(*_: object, **__: object) -> None:
        raise TimeoutError("HTTP proxies not\n available")

    monkeypatch.setattr(serve, "start", give_up)
    monkeypatch.setattr(application, "wait_for_controller", lambda starting: None)
    monkeypatch.setattr(application, "deploy", lambda config: None)
    monkeypatch.setattr(application, "wait_until_running", lambda seconds: None)
    with pytest.raises(StartError, match=r"^Serve could not be started: HTTP proxies not available$"):
        application.run(application.read_schema(Path(CONFIG)))
