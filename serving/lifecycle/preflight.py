"""What can be known before anything is started: config, settings, model, keys, memory, ports.

Whatever is wrong is a `StartError` of one line that names the setting or the file.
"""

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from graph.errors import GraphError
from graph.model_directory import ModelDirectory
from serving.lifecycle.front_end import HOST_VARIABLE
from serving.lifecycle.processes import MARK
from serving.middleware.keys import BadKeys, load_keys
from serving.settings import ENVIRONMENT_PREFIX, Settings
from serving.tuning import TuningError, tune

# What Serve opens in the fast mode besides the HTTP port; each has a variable to move it.
OTHER_PORTS = {
    "RAY_SERVE_HAPROXY_METRICS_PORT": 9101,
    "RAY_SERVE_HAPROXY_STATS_PORT": 8404,
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": 8500,
}

# The key that the command line sends as a client; whoever has exported it may start a service all the same.
CLIENT_VARIABLE = "ANNOTATOR_KEY"

# Measured: with two replicas all of it takes 1.0 GB, with twelve 1.9 GB; the program that starts it is there besides.
BASE_MB = 850
REPLICA_MB = 90


class StartError(Exception):
    """The service cannot start; the message is one line."""


@dataclass(frozen=True)
class Plan:
    """What a config asks for.

    Attributes:
        host: where HTTP listens.
        port: of HTTP.
        settings: of the application.
        replicas: that must be there at least.
    """

    host: str
    port: int
    settings: Settings
    replicas: int


def read_config(path: Path) -> Plan:
    """Read a Serve config, and try all that it names.

    Raises:
        StartError: it cannot be read, a setting is wrong, or the model or the keys cannot be used.
    """
    try:
        config: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
        (application,) = config["applications"]
        _refuse_unknown_variables()
        settings = Settings.model_validate(application.get("args", {}))
        model = ModelDirectory.open(settings.model_path, settings.tasks_path)
        model.verify()
        http = config["http_options"]
        for deployment in application["deployments"]:
            tuned = tune(model.tasks, settings, deployment.get("user_config") or {})
            _check_patience(http, tuned.settings)
        load_keys(settings)
        replicas = sum(_least_replicas(deployment) for deployment in application["deployments"])
        return Plan(str(http["host"]), int(http["port"]), settings, replicas)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StartError(f"{_source(where, path)}: {first['msg']}") from error
    except (GraphError, BadKeys) as error:
        raise StartError(str(error)) from error
    except TuningError as error:
        raise StartError(f"{path}: user_config: {error}") from error
    except OSError as error:
        raise StartError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise StartError(f"{path} is not a Serve config: {' '.join(str(error).split())}") from error


def _check_patience(http: dict[str, Any], settings: Settings) -> None:
    """See that Serve, whose answer is no JSON, gives a request up later than we do."""
    ours = settings.body_seconds + settings.deadline_seconds
    if http["request_timeout_s"] <= ours:
        raise TuningError(
            f"body_seconds and deadline_seconds are {ours:g} s together, "
            f"and http_options.request_timeout_s ({http['request_timeout_s']:g}) must be longer"
        )


def _source(field: str, config: Path) -> str:
    variable = f"{ENVIRONMENT_PREFIX}{field}".upper()
    return f"{variable} in the environment" if variable in os.environ else f"{config}: applications.args.{field}"


def _refuse_unknown_variables() -> None:
    known = {f"{ENVIRONMENT_PREFIX}{field}".upper() for field in Settings.model_fields}
    known |= {MARK, HOST_VARIABLE, CLIENT_VARIABLE}
    for variable in os.environ:
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in known:
            raise StartError(f"{variable} in the environment: there is no such setting")


def _least_replicas(deployment: dict[str, Any]) -> int:
    replicas = deployment.get("num_replicas")
    return int(deployment["autoscaling_config"]["min_replicas"] if replicas is None else replicas)


def check_memory(plan: Plan) -> None:
    """See that the service fits.

    Raises:
        StartError: it does not.
    """
    needed = BASE_MB + REPLICA_MB * plan.replicas
    available = available_mb()
    if available < needed:
        raise StartError(
            f"too little memory: {available:,} MB are available, {plan.replicas} replicas need about {needed:,} MB; "
            "placement fused (configs/serve/fused.yaml) needs least"
        )


def available_mb(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Memory that can still be had, in MB: of the machine, or of the container if that is less."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo.read_text(), re.MULTILINE)
    available = int(found[1]) // 1000 if found else 0
    try:
        limit, used = ((cgroup / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:  # no container
        return available
    return available if limit == "max" else min(available, (int(limit) - int(used)) // 1_000_000)


def check_ports(http_port: int) -> None:
    """See that nobody else listens where Serve is going to.

    Raises:
        StartError: somebody does, or a variable that moves a port holds none.
    """
    ports = {"http_options.port in the config": http_port}
    for name, usual in OTHER_PORTS.items():
        chosen = os.environ.get(name, str(usual))
        if not chosen.isdecimal():
            raise StartError(f"{name} in the environment is no port: {chosen}")
        ports[name] = int(chosen)
    for setting, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError as error:
                raise StartError(f"port {port} is taken; free it or set another: {setting}") from error
