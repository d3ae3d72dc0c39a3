"""The image and what compose.yaml puts beside it agree with each other and with the service."""

import fnmatch
import importlib.util
import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.lifecycle.front_end import HOST_VARIABLE
from serving.lifecycle.preflight import read_config
from serving.lifecycle.stop import STOP_SECONDS
from serving.settings import ENVIRONMENT_PREFIX, PROJECT, Settings
from tests.configs.dashboard import FOLDER, SOURCE

PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
# A logical line an instruction, without comments.
INSTRUCTIONS = [
    tuple(line.split(maxsplit=1))
    for line in re.sub(r"^#.*\n", "", (PROJECT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    .replace("\\\n", " ")
    .splitlines()
    if line.strip()
]
COMPOSE = yaml.safe_load((PROJECT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROMETHEUS = yaml.safe_load((FOLDER / "prometheus.yaml").read_text("utf-8"))
(PROVIDER,) = yaml.safe_load((FOLDER / "provider.yaml").read_text("utf-8"))["providers"]


def instructions(name: str) -> list[str]:
    return [rest for instruction, rest in INSTRUCTIONS if instruction == name]


def test_the_image_installs_the_tested_versions_and_nothing_for_training_or_tests() -> None:
    (install,) = [run for run in instructions("RUN") if "pip install" in run]
    assert shlex.split(install.rpartition(" && ")[2])[-4:] == ["--constraint", "constraints.txt", "--editable", "."]


def test_the_image_does_not_run_as_root() -> None:
    (user,) = instructions("USER")
    assert int(user) > 0
    assert any(f"useradd --uid {user} " in run for run in instructions("RUN"))
    names = [instruction for instruction, _ in INSTRUCTIONS]
    assert names.index("USER") < names.index("CMD")


def test_what_runs_in_the_image_is_there() -> None:
    (command,) = instructions("CMD")
    python, flag, module, config = json.loads(command)
    assert (python, flag) == ("python", "-m")
    assert read_config(PROJECT / config).settings.placement == "fused"
    (check,) = instructions("HEALTHCHECK")
    probe = json.loads(check.partition("CMD ")[2])
    assert probe[:2] == ["python", "-m"]
    for name in (module, probe[2]):
        assert importlib.util.find_spec(name) is not None


def test_http_listens_beyond_the_container() -> None:
    (variables,) = instructions("ENV")
    assert f"{HOST_VARIABLE}=0.0.0.0" in variables.split()


def test_the_image_holds_all_that_serves_and_nothing_else() -> None:
    excluded, *rules = [
        line for line in (PROJECT / ".dockerignore").read_text("utf-8").splitlines() if line and line[0] != "#"
    ]
    assert excluded == "*"
    let_in = [rule[1:] for rule in rules if rule[0] == "!"]
    packages = {package.partition(".")[0] for package in PYPROJECT["tool"]["setuptools"]["packages"]}
    needed = packages | {"models", "configs", "pyproject.toml", "constraints.txt"}
    assert needed <= set(let_in)
    tracked = subprocess.run(["git", "ls-files"], cwd=PROJECT, check=True, capture_output=True, text=True)
    for rule in rules:
        name = rule.removeprefix("!")
        assert rule == "**/__pycache__" or any(
            fnmatch.fnmatch(file, f"{name}*") for file in tracked.stdout.splitlines()
        ), name
    assert not {"tests", "docs", "runs", ".git", ".venv"} & set(let_in)


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_healthy_or_not_and_listens_on_this_machine_only(name: str) -> None:
    service = SERVICES[name]
    assert "healthcheck" in service or service["build"] == "."
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    repository, _, tag = service["image"].partition(":")
    assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag), repository


def test_the_service_in_compose() -> None:
    service = SERVICES["annotator"]
    assert service["image"] == f"annotator:{PYPROJECT['project']['version']}"
    stops_within = float(service["stop_grace_period"].removesuffix("s"))
    assert stops_within > Settings().deadline_seconds + STOP_SECONDS
    known = {f"{ENVIRONMENT_PREFIX}{field}".upper() for field in Settings.model_fields}
    assert service["environment"].keys() <= known


def test_every_file_that_is_mounted_is_there() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", ())]
    files = [mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert len(files) == 4
    assert all((PROJECT / file).is_file() for file in files)


def mounted(service: str, file: Path) -> str:
    (target,) = [mount.split(":")[1] for mount in SERVICES[service]["volumes"] if PROJECT / mount.split(":")[0] == file]
    return str(target)


def test_prometheus_reads_its_config_and_asks_the_service() -> None:
    assert f"--config.file={mounted('prometheus', FOLDER / 'prometheus.yaml')}" in SERVICES["prometheus"]["command"]
    (job,) = PROMETHEUS["scrape_configs"]
    port = SERVICES["annotator"]["ports"][0].rpartition(":")[2]
    assert job["static_configs"] == [{"targets": [f"annotator:{port}"]}]
    assert job.get("metrics_path", "/metrics") == "/metrics"


def test_grafana_finds_source_and_dashboard() -> None:
    port = SERVICES["prometheus"]["ports"][0].rpartition(":")[2]
    assert SOURCE["url"] == f"http://prometheus:{port}"
    assert SOURCE["jsonData"]["timeInterval"] == PROMETHEUS["global"]["scrape_interval"]
    dashboard = mounted("grafana", FOLDER / "annotator.json")
    assert Path(dashboard).parent == Path(PROVIDER["options"]["path"])
    assert SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == dashboard
    for file, kind in (("datasource.yaml", "datasources"), ("provider.yaml", "dashboards")):
        assert mounted("grafana", FOLDER / file).startswith(f"/etc/grafana/provisioning/{kind}/")
