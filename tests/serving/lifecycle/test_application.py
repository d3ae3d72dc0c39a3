from concurrent.futures import Future
from pathlib import Path

import pytest
import yaml
from ray.serve.exceptions import RayServeException
from ray.serve.schema import ApplicationStatus

from serving.lifecycle import application
from serving.lifecycle.preflight import StartError
from serving.settings import PROJECT

CONFIG = PROJECT / "serve_config.yaml"


def test_the_application_is_told_as_soon_as_somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[bool] = []

    def look() -> None:
        looks.append(True)
        if len(looks) < 3:
            raise RayServeException("there is no controller")

    monkeypatch.setattr(application, "_get_global_client", look)
    application.wait_for_controller(Future())  # front ends that are not there yet
    assert len(looks) == 3


def test_why_serve_could_not_be_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    starting: Future[None] = Future()
    starting.set_exception(TimeoutError("HTTP proxies not available"))
    with pytest.raises(TimeoutError, match="HTTP proxies not available"):
        application.wait_for_controller(starting)


def test_a_mistake_that_only_serve_knows_is_named(tmp_path: Path) -> None:
    config = yaml.safe_load(CONFIG.read_text("utf-8"))
    config["applications"][0]["deployments"][0]["max_ongoing_requests"] = "many"
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    with pytest.raises(StartError, match=r"deployments\.0\.max_ongoing_requests: Input should be a valid integer"):
        application.read_schema(path)


def test_a_failure_that_passes_is_waited_out(states: list[ApplicationStatus]) -> None:
    states += [ApplicationStatus.DEPLOY_FAILED, ApplicationStatus.DEPLOYING, ApplicationStatus.RUNNING]
    application.wait_until_running(30)
    assert states == [ApplicationStatus.RUNNING]


def test_an_application_that_never_runs_ends_the_wait(states: list[ApplicationStatus]) -> None:
    states.append(ApplicationStatus.DEPLOYING)
    with pytest.raises(StartError, match=r"does not run after 0\.1 s"):
        application.wait_until_running(0.1)
