"""Ray with no more processes than serving takes, and the application of a Serve config on it.

    python -m serving.lifecycle.cluster serve_config.yaml [--dashboard]

`serve run` would start a dashboard of nine processes too, a log monitor, an autoscaler of machines, and stay itself:
0.35 GB and two seconds for what a service on one machine has no use for. This program ends when the application
runs; what it has started goes on.
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

from serving.lifecycle.lock import RUNS
from serving.lifecycle.preflight import StartError

# Ray reads it once, when it is imported: whoever has no token is not let in, unless the environment says otherwise.
os.environ.setdefault("RAY_AUTH_MODE", "token")

import ray
from ray import serve
from ray.scripts.scripts import cli as ray_cli
from ray.serve.schema import ApplicationStatus
from ray.serve.scripts import cli as serve_cli

LOOPBACK = "127.0.0.1"
ADDRESS = RUNS / "service.address"
"""Where Ray listens that `make serve` has started."""

FAILED = (ApplicationStatus.DEPLOY_FAILED, ApplicationStatus.UNHEALTHY)
PAUSE_SECONDS = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Start Ray, deploy, wait; returns the exit status."""
    parser = argparse.ArgumentParser(description="Start Ray on this machine alone, and an application on it.")
    parser.add_argument("config", type=Path, help="Serve's config")
    parser.add_argument("--dashboard", action="store_true", help="with Ray's dashboard, and all that comes with it")
    parser.add_argument("--patience", type=float, default=180, help="seconds until it must run (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        start_ray(options.dashboard)
        connect()
        deploy(options.config)
        wait_until_running(options.patience)
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def start_ray(dashboard: bool) -> None:
    """Start a cluster of this machine alone; whoever wants in needs the token that Ray keeps in the home folder."""
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the token
        ray_cli.main(["get-auth-token", "--generate"], standalone_mode=False)
    address = f"{LOOPBACK}:{_free_port()}"
    arguments = ["start", "--head", f"--node-ip-address={LOOPBACK}", f"--port={address.rpartition(':')[2]}"]
    arguments += ["--disable-usage-stats", f"--include-dashboard={dashboard}"]
    if not dashboard:
        os.environ["RAY_START_HOOK"] = f"serving.lifecycle.cluster.{leave_out.__name__}"
    # Ray would otherwise warn of a cluster that the environment names.
    os.environ.pop("RAY_ADDRESS", None)
    ray_cli.main(arguments, standalone_mode=False)
    ADDRESS.parent.mkdir(exist_ok=True)
    ADDRESS.write_text(address, "utf-8")


def leave_out(parameters: Any, _head: bool) -> None:
    """Called by Ray before it starts anything: what else would be started and has no flag of its own."""
    parameters.no_monitor = True
    parameters.include_log_monitor = False
    parameters.ray_client_server_port = None


def connect() -> None:
    """Join the cluster that `make serve` has started.

    Raises:
        StartError: it cannot be reached.
    """
    try:
        ray.init(ADDRESS.read_text("utf-8"), namespace="serve", log_to_driver=False, configure_logging=False)
    except (OSError, ConnectionError, RuntimeError) as error:
        raise StartError(f"the service cannot be reached: {_one_line(str(error))}") from error


def deploy(config: Path) -> None:
    """Tell Serve what is to run from now on.

    Raises:
        StartError: Serve cannot be told.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            serve_cli.main(["run", "--non-blocking", str(config)], standalone_mode=False)
    except SystemExit:  # which is how it ends when it fails
        print(said.getvalue(), file=sys.stderr)
        raise StartError("Serve did not take the config") from None


def wait_until_running(patience_s: float) -> None:
    """Wait until Serve says that what it was last told to run is running.

    Raises:
        StartError: it does not in time, or Serve has given up.
    """
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        applications = serve.status().applications.values()
        if all(application.status is ApplicationStatus.RUNNING for application in applications):
            return
        if failed := [application.message for application in applications if application.status in FAILED]:
            raise StartError(f"Serve says: {_one_line(failed[0])}")
        time.sleep(PAUSE_SECONDS)
    raise StartError(f"the application does not run after {patience_s:g} s; `make status` says more")


def status() -> dict[str, Any]:
    """Applications, their deployments, how many replicas are in which state, and what each has to say, as JSON."""
    told: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(serve.status())))
    return told


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main())
