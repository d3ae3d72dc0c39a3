"""Ray on this machine alone, with no more processes than serving takes: started, and joined.

`ray start` would start a dashboard of ten processes too, a log monitor, an autoscaler of machines and a server for
remote clients: 0.35 GB and two seconds for what a service on one machine has no use for. Of Serve it knows nothing.
"""

import contextlib
import io
import os
import socket
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
from ray.exceptions import RayError
from ray.scripts.scripts import cli as ray_cli

LOOPBACK = "127.0.0.1"


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
        raise StartError(f"the service cannot be reached: {one_line(str(error))}") from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def one_line(text: str) -> str:
    """A message without its line breaks."""
    return " ".join(text.split())
