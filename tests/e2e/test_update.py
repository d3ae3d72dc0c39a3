"""Changes of user_config while the service answers."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from serving.settings import PROJECT
from tests.e2e.contract import TASKS
from tests.e2e.processes import replicas

CONFIG = PROJECT / "serve_config.yaml"
DEPLOY_UNCHECKED = """
import sys
from pathlib import Path
from serving.lifecycle.application import deploy, read_schema
from serving.lifecycle.cluster import connect
connect()
deploy(read_schema(Path(sys.argv[1])))
"""
RULED = next(task for task in TASKS if task.rule)


def update(config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "update", f"CONFIG={config}"], cwd=PROJECT, capture_output=True, text=True, timeout=120
    )


def status() -> dict[str, Any]:
    """What `make status` says of the application."""
    done = subprocess.run(["make", "status"], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=True)
    application: dict[str, Any] = yaml.safe_load(done.stdout)["applications"]["annotator"]
    return application


class Traffic:
    """One client that asks without a pause, and notes every answer that is not 200."""

    def __init__(self, url: str) -> None:
        self.answers = 0
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(url,))
        self._thread.start()

    def _ask(self, url: str) -> None:
        with httpx.Client(base_url=url, timeout=30) as client:
            while not self._stop.is_set():
                answer = client.post("/model", json={"sentences": ["i love you"]})
                self.answers += 1
                if answer.status_code != 200:
                    self.failures.append(answer.text)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture
def config_with(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Writes the real config with another user_config."""

    def write(user_config: dict[str, Any]) -> Path:
        config = yaml.safe_load(CONFIG.read_text("utf-8"))
        (ingress,) = (d for d in config["applications"][0]["deployments"] if d["name"] == "Ingress")
        ingress["user_config"] = user_config
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(config), "utf-8")
        return path

    return write


@pytest.fixture
def client(service: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service, timeout=30) as opened:
        yield opened
    assert update(CONFIG).returncode == 0


def threshold(client: httpx.Client) -> float:
    (task,) = (task for task in client.get("/v1/tasks").json()["tasks"] if task["name"] == RULED.name)
    number: float = task["rule"]["drop_below"]["threshold"]
    return number


def test_user_config_changes_under_traffic_without_a_restart_or_a_failed_request(
    client: httpx.Client, service: str, config_with: Callable[[dict[str, Any]], Path]
) -> None:
    before = set(replicas())
    (plain,) = client.post("/v1/annotate", json={"inputs": "i love you"}).json()["annotations"]
    traffic = Traffic(service)
    try:
        changed = {
            "temperatures": {TASKS[1].name: 5.0},
            "thresholds": {RULED.name: 0.4},
            "default_tasks": [TASKS[1].name],
            "limits": {"body_bytes": 500},
        }
        done = update(config_with(changed))
        assert (done.returncode, done.stdout) == (0, "updated\n"), done.stderr
        assert threshold(client) == 0.4
        (annotation,) = client.post("/v1/annotate", json={"inputs": "i love you"}).json()["annotations"]
        assert list(annotation["tasks"]) == [TASKS[1].name]
        flat, sharp = (max(given["tasks"][TASKS[1].name]["scores"].values()) for given in (annotation, plain))
        assert flat < sharp - 0.1
        assert client.post("/model", json={"sentences": ["x" * 500]}).status_code == 413

        refused = update(config_with({"thresholds": {RULED.name: 7}}))
        assert refused.returncode != 0
        assert f"thresholds.{RULED.name}" in refused.stderr

        # Past the check, as another tool might send it: the replicas refuse it, and go on.
        wrong = config_with({"thresholds": {"no_such_task": 0.5}})
        subprocess.run([sys.executable, "-c", DEPLOY_UNCHECKED, wrong], check=True, capture_output=True)
        threading.Event().wait(3)
        assert threshold(client) == 0.4
    finally:
        traffic.stop()
    assert before
    assert before <= set(replicas())  # autoscaling may have added one
    assert traffic.answers > 20
    assert traffic.failures == []


def test_an_update_that_finds_no_room_and_is_given_up_leaves_what_runs(
    client: httpx.Client, service: str, tmp_path: Path
) -> None:
    before = set(replicas())
    config = yaml.safe_load(CONFIG.read_text("utf-8"))
    (tokenizer,) = (d for d in config["applications"][0]["deployments"] if d["name"] == "Tokenizer")
    tokenizer["ray_actor_options"]["num_cpus"] = 1000
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    traffic = Traffic(service)
    try:
        updating = subprocess.Popen(["make", "update", f"CONFIG={path}"], cwd=PROJECT, start_new_session=True)
        while status()["deployments"]["Tokenizer"]["status"] != "UPDATING":
            assert updating.poll() is None
        os.killpg(updating.pid, signal.SIGINT)
        assert updating.wait(60) != 0
        back = update(CONFIG)
        assert (back.returncode, back.stdout) == (0, "updated\n"), back.stderr
    finally:
        traffic.stop()
    assert client.get("/ready").status_code == 200
    assert before <= set(replicas())
    assert traffic.answers > 20
    assert traffic.failures == []


def test_make_status_shows_the_state_of_every_deployment(service: str) -> None:
    del service
    application = status()
    assert application["status"] == "RUNNING"
    assert {deployment["status"] for deployment in application["deployments"].values()} == {"HEALTHY"}
    assert {"Ingress", "Encoder", *(f"Head_{task.name}" for task in TASKS)} <= set(application["deployments"])
