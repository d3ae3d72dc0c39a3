import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve._private.build_app import build_app

import serving.app
from graph.errors import ModelError
from graph.tasks import load_tasks
from serving.settings import PROJECT, Settings

CONFIGS = [PROJECT / "serve_config.yaml", *sorted((PROJECT / "configs" / "serve").glob("*.yaml"))]


def deployments_of(config: Path) -> list[dict[str, Any]]:
    (application,) = yaml.safe_load(config.read_text("utf-8"))["applications"]
    deployments: list[dict[str, Any]] = application["deployments"]
    return deployments


def test_the_full_split_has_a_head_a_task() -> None:
    heads = {f"Head_{task.name}" for task in load_tasks(Settings().tasks_path)}
    assert {d["name"] for d in deployments_of(CONFIGS[0])} == {"Ingress", "Tokenizer", "Encoder"} | heads


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_a_config_names_every_deployment_of_its_placement_and_no_other(config: Path) -> None:
    (application,) = yaml.safe_load(config.read_text("utf-8"))["applications"]
    settings = Settings.model_validate(application["args"])
    built = build_app(serving.app.build(settings), name="annotator")
    assert sorted(d["name"] for d in deployments_of(config)) == sorted(d.name for d in built.deployments)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_every_deployment_scales_and_is_bounded(config: Path) -> None:
    for deployment in deployments_of(config):
        scaling = deployment["autoscaling_config"]
        assert 1 <= scaling["min_replicas"] < scaling["max_replicas"]
        assert {"target_ongoing_requests", "upscale_delay_s", "downscale_delay_s"} <= set(scaling)
        for setting in (
            "max_ongoing_requests",
            "max_queued_requests",
            "health_check_period_s",
            "health_check_timeout_s",
            "graceful_shutdown_timeout_s",
        ):
            assert deployment[setting] > 0


def test_the_least_replicas_fit_two_cores_and_leave_room_for_another_encoder() -> None:
    cpus = {d["name"]: d["ray_actor_options"]["num_cpus"] for d in deployments_of(CONFIGS[0])}
    assert sum(cpus.values()) + cpus["Encoder"] <= 2


def test_a_broken_model_is_refused_before_anything_is_deployed(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model directory"):
        serving.app.build(Settings(model=tmp_path / "none"))


def test_the_ready_app_is_there_when_asked_for() -> None:
    assert type(serving.app.app).__name__ == "Application"
    with pytest.raises(AttributeError):
        _ = serving.app.nothing


@pytest.mark.slow
def test_serve_build_writes_a_config(tmp_path: Path) -> None:
    target = tmp_path / "built.yaml"
    subprocess.run(
        [Path(sys.executable).with_name("serve"), "build", "serving.app:app", "-o", target],
        cwd=PROJECT,
        check=True,
        capture_output=True,
    )
    (application,) = yaml.safe_load(target.read_text("utf-8"))["applications"]
    assert len(application["deployments"]) == 12
