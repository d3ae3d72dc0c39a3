"""Ray with no more processes than serving takes, and the application of a Serve config on it.

    python -m serving.lifecycle.cluster serve_config.yaml [--dashboard]

`serve run` would start a dashboard of ten processes too, a log monitor, an autoscaler of machines, a server for
remote clients, and stay itself: 0.35 GB and two seconds for what a service on one machine has no use for. This
program ends when the application runs; what it has started goes on.
"""

import argparse
import contextlib
import dataclasses
import io
import json
import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serving.lifecycle.lock import ADDRESS
from serving.lifecycle.preflight import StartError
from serving.lifecycle.processes import vital_processes

# Ray reads these once, when it is imported. Whoever has no token is not let in, unless the environment says otherwise;
# and Ray must not make the machine's other address of the loopback, on which alone it listens (the name is of other
# systems).
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")

import ray
import yaml
from pydantic import ValidationError
from ray import serve
from ray.exceptions import RayError
from ray.scripts.scripts import cli as ray_cli
from ray.serve.context import _get_global_client
from ray.serve.exceptions import RayServeException
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview, ServeDeploySchema

LOOPBACK = "127.0.0.1"

FAILED = (ApplicationStatus.DEPLOY_FAILED, ApplicationStatus.UNHEALTHY)
FAILED_SECONDS = 10
"""A replica that is late fails a deployment, and comes all the same."""
PAUSE_SECONDS = 0.5
RUNNING_SECONDS = 170
"""Less than the launcher waits for an answer: what does not run has a better reason than that."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Start Ray, deploy, wait; returns the exit status."""
    parser = argparse.ArgumentParser(description="Start Ray on this machine alone, and an application on it.")
    parser.add_argument("config", type=Path, help="Serve's config")
    parser.add_argument("--dashboard", action="store_true", help="with Ray's dashboard, and all that comes with it")
    options = parser.parse_args(arguments)
    try:
        config = read_schema(options.config)
        join(start_ray(options.dashboard))
        serve.start(
            config.proxy_location,
            config.http_options.model_dump(),
            config.grpc_options.model_dump(),
            controller_options=config.controller_options,
        )
        deploy(config)
        wait_until_running(RUNNING_SECONDS)
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def read_schema(path: Path) -> ServeDeploySchema:
    """A Serve config as Serve understands it.

    Raises:
        StartError: it has what Serve does not know, or lacks what it needs.
    """
    try:
        return ServeDeploySchema.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        raise StartError(f"{path}: {'.'.join(map(str, first['loc']))}: {_one_line(first['msg'])}") from error


def start_ray(dashboard: bool) -> str:
    """Start a cluster of this machine alone; whoever wants in needs the token that Ray keeps in the home folder.

    Returns:
        The address to join it at, which from now on `connect` finds too.
    """
    old_mask = os.umask(0o077)  # Ray would let everybody read it
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the token
        ray_cli.main(["get-auth-token", "--generate"], standalone_mode=False)
    os.umask(old_mask)
    port = _free_port()
    arguments = ["start", "--head", f"--node-ip-address={LOOPBACK}", f"--port={port}"]
    arguments += ["--disable-usage-stats", f"--include-dashboard={dashboard}"]
    if not dashboard:
        os.environ["RAY_START_HOOK"] = f"serving.lifecycle.cluster.{leave_out.__name__}"
    # Ray would otherwise warn of a cluster that the environment names.
    os.environ.pop("RAY_ADDRESS", None)
    ray_cli.main(arguments, standalone_mode=False)
    address = f"{LOOPBACK}:{port}"
    ADDRESS.write_text(address, "utf-8")
    return address


def leave_out(parameters: Any, _head: bool) -> None:
    """Called by Ray before it starts anything: what else would be started and has no flag of its own."""
    parameters.no_monitor = True
    parameters.include_log_monitor = False
    parameters.ray_client_server_port = None


def connect() -> None:
    """Join the cluster that `make serve` has started.

    Raises:
        StartError: there is none, or it cannot be reached.
    """
    if not vital_processes():
        raise StartError("no service of this folder runs; make serve starts one")
    try:
        address = ADDRESS.read_text("utf-8")
    except FileNotFoundError:
        raise StartError("the service is still starting") from None
    join(address)


def join(address: str) -> None:
    """Make this process part of the cluster that listens there.

    Raises:
        StartError: it cannot be reached.
    """
    try:
        ray.init(address, namespace="serve", log_to_driver=False, configure_logging=False)
    except (OSError, RuntimeError, RayError) as error:
        raise StartError(f"the service cannot be reached: {_one_line(str(error))}") from error


def deploy(config: ServeDeploySchema) -> None:
    """Tell Serve what is to run from now on; what runs is not touched where it cannot be told.

    Raises:
        StartError: it cannot be told.
    """
    try:
        client = _get_global_client()
        if client is None:
            raise StartError("Serve is not there")
        client.deploy_apps(config)
    except (RayError, RayServeException) as error:
        raise StartError(f"Serve does not take the config: {_one_line(str(error))}") from error


def wait_until_running(patience_s: float) -> None:
    """Wait until Serve says that what it was last told to run is running.

    Raises:
        StartError: it does not in time, or Serve has given up.
    """
    deadline = time.monotonic() + patience_s
    good_until = time.monotonic()
    while time.monotonic() < deadline:
        applications = serve.status().applications.values()
        states = {application.status for application in applications}
        if states == {ApplicationStatus.RUNNING}:
            return
        if not states & set(FAILED):
            good_until = time.monotonic()
        elif time.monotonic() - good_until > FAILED_SECONDS:
            raise StartError(f"Serve says: {_one_line(' '.join(map(_message, applications)))}")
        time.sleep(PAUSE_SECONDS)
    raise StartError(f"the application does not run after {patience_s:g} s")


def status() -> dict[str, Any]:
    """Applications, their deployments, how many replicas are in which state, and what each has to say, as JSON."""
    told: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(serve.status())))
    return told


def _message(application: ApplicationStatusOverview) -> str:
    return " ".join([application.message, *(deployment.message for deployment in application.deployments.values())])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main())
