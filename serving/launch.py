"""`make serve`: start Ray and Serve in the fast mode, say when the first answer is there, end all of it at Ctrl-C.

    python -m serving.launch [serve_config.yaml]

What is wrong is said in one line before anything is started. The fast mode's variables must be in the environment
when the cluster starts, which is why this is a program and not a setting.
"""

import argparse
import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import yaml
from pydantic import ValidationError

from graph.errors import GraphError
from graph.model_directory import ModelDirectory
from serving.processes import end_processes, marked_environment
from serving.settings import PROJECT, Settings
from serving.tuning import TuningError, tune

RUNS = PROJECT / "runs"
LOCK = RUNS / "service.lock"
LOG = RUNS / "service.log"

# Threads instead of processes where Serve offers the choice, and HAProxy in front instead of a Python proxy.
FAST_MODE = {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_SERVE_ENABLE_HA_PROXY": "1"}
# For how long a replica of the ingress that is to go still takes requests, so that front ends on other nodes can
# forget it. Serve's 30 s are for those; here there is one front end, and it is told at once.
DRAIN = {"RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2"}
# Ray would otherwise join a cluster that somebody else runs here, or wait for one that ended badly.
OWN_CLUSTER = {"RAY_ADDRESS": "local"}
# What Serve opens in this mode besides the HTTP port; each has a variable to move it.
OTHER_PORTS = {
    "RAY_SERVE_HAPROXY_METRICS_PORT": 9101,
    "RAY_SERVE_HAPROXY_STATS_PORT": 8404,
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": 8500,
}

START_SECONDS = 180
STOP_SECONDS = 60
EXAMPLE = {"sentences": ["i love you"]}


class StartError(Exception):
    """The service cannot start; the message is one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Start, wait, stop; returns the exit status."""
    parser = argparse.ArgumentParser(description="Start the service and stay in the foreground.")
    parser.add_argument("config", nargs="?", type=Path, default=PROJECT / "serve_config.yaml", help="Serve's config")
    options = parser.parse_args(arguments)
    # From here on a SIGTERM is handled like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        port = check_config(options.config)
        RUNS.mkdir(exist_ok=True)
        with LOCK.open("a+") as lock:
            take_lock(lock)
            return serve(options.config, port)
    except StartError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def check_config(path: Path) -> int:
    """Find out what can be known before anything is started.

    Returns:
        The HTTP port.

    Raises:
        StartError: the config cannot be read, a setting is wrong, or the model cannot be used.
    """
    try:
        config: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
        for application in config["applications"]:
            settings = Settings.model_validate(application.get("args", {}))
            model = ModelDirectory.open(settings.model_path, settings.tasks_path)
            model.verify()
            for deployment in application.get("deployments", ()):
                tune(model.tasks, settings, deployment.get("user_config") or {})
        return int(config["http_options"]["port"])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StartError(f"{path}: applications.args.{where}: {first['msg']}") from error
    except GraphError as error:
        raise StartError(str(error)) from error
    except TuningError as error:
        raise StartError(f"{path}: user_config: {error}") from error
    except OSError as error:
        raise StartError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise StartError(f"{path} is not a Serve config: {' '.join(str(error).split())}") from error


def take_lock(lock: TextIO) -> None:
    """Make this the only launcher of the checkout; the kernel frees the lock when the launcher is gone.

    Raises:
        StartError: another one runs.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise StartError("the service of this folder runs already; make stop ends it") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()


def serve(config: Path, port: int) -> int:
    """Run Serve in a child until Ctrl-C.

    Raises:
        StartError: a port is taken, or the graph does not come up.
    """
    left = end_processes()
    if left:
        print(f"ended {len(left)} processes that an earlier run had left")
    check_ports(port)
    began = time.monotonic()
    with LOG.open("w") as log:
        child = subprocess.Popen(
            [Path(sys.executable).with_name("serve"), "run", config.resolve()],
            cwd=PROJECT,
            env=marked_environment() | FAST_MODE | DRAIN | OWN_CLUSTER,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C goes to the whole foreground group; Ray's processes must hear of it from Serve, in order.
            start_new_session=True,
        )
        try:
            wait_until_ready(child, port)
            seconds = time.monotonic() - began
            print(f"ready after {seconds:.1f} s, Ctrl-C ends it; try: {example(port)}", flush=True)
            child.wait()
            raise StartError(f"Serve ended by itself; see {LOG}")
        finally:
            stop(child)


def check_ports(http_port: int) -> None:
    """See that nobody else listens where Serve is going to.

    Raises:
        StartError: somebody does.
    """
    ports = {"http_options.port in the config": http_port}
    ports |= {name: int(os.environ.get(name, port)) for name, port in OTHER_PORTS.items()}
    for setting, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError as error:
                raise StartError(f"port {port} is taken; free it or set another: {setting}") from error


def wait_until_ready(child: "subprocess.Popen[bytes]", port: int) -> None:
    """Ask until an utterance has gone through the whole graph.

    Raises:
        StartError: it does not in time, or Serve ends before.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise StartError(f"Serve ended with status {child.returncode}; see {LOG}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.1)
    raise StartError(f"no answer within {START_SECONDS} s; see {LOG} and /tmp/ray/session_latest/logs/serve")


def example(port: int) -> str:
    """A command that shows an answer."""
    return f"curl -s localhost:{port}/model -H 'Content-Type: application/json' -d '{json.dumps(EXAMPLE)}'"


def stop(child: "subprocess.Popen[bytes]") -> None:
    """Let Serve shut down in order, then end whatever is still there."""
    # A second Ctrl-C must not leave half a cluster behind.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(STOP_SECONDS)
    end_processes()


if __name__ == "__main__":
    sys.exit(main())
