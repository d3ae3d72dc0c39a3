"""`make serve`: start Ray and Serve in the fast mode, say when the first answer is there, end all of it at Ctrl-C.

    python -m serving.lifecycle.launch [serve_config.yaml]

What is wrong is said in one line before anything is started. The fast mode's variables must be in the environment
when the cluster starts, which is why this is a program and not a setting.
"""

import argparse
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from serving.lifecycle.front_end import HOST_VARIABLE, drain_front_ends
from serving.lifecycle.lock import ADDRESS, LOCK, RUNS, take_lock
from serving.lifecycle.preflight import Plan, StartError, check_memory, check_ports, read_config
from serving.lifecycle.processes import (
    VITAL,
    end_processes,
    is_there,
    marked_environment,
    our_processes,
    vital_processes,
)
from serving.middleware.keys import key_header
from serving.settings import PROJECT

LOG = RUNS / "service.log"
LOGS = RUNS / "ray" / "session_latest" / "logs"

# Threads instead of processes where Serve offers the choice, and HAProxy in front instead of a Python proxy.
FAST_MODE = {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_SERVE_ENABLE_HA_PROXY": "1"}
# For how long a replica of the ingress that is to go still takes requests, so that front ends on other nodes can
# forget it. Serve's 30 s are for those; here there is one front end, and it is told at once.
DRAIN = {"RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2"}
# A HAProxy that listens no further than it must, and headers that a client has no say in.
NARROWED = {
    "RAY_SERVE_HAPROXY_BINARY_PATH": str(Path(sys.executable).with_name("annotator-haproxy")),
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serving.middleware.headers:middlewares",
    # The name is of other systems, where Ray does so anyway: all of its own ports on the loopback only.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}
# An answer leaves no trace, so a request whose replica died before it answered may go to another one; one that is
# silent is given up after request_timeout_s, when it should have said so itself. A client that does not send what it
# has announced keeps its connection for as long, and not for an hour.
FRONT_END = {
    "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response",
    "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": "70",
    "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "70",
}
# A batch of the longest utterances; 4 MB otherwise.
LARGE = {"RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(64 * 1024 * 1024)}
# glibc's memory: by default a pool of its own for each of Ray's many threads, and every process grows by 7 MB an hour
# at rest.
LEVEL = {"MALLOC_ARENA_MAX": "2"}

# Serve looks every 10 s, three times, whether HAProxy lives, and lets a replica that hangs finish its requests.
SOON = {"RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1", "RAY_SERVE_FORCE_STOP_UNHEALTHY_REPLICAS": "1"}

# Serve ends a front end that has not started within 5 s, and with it itself; on a busy machine it takes longer.
# A fresh replica asks those that it calls how long their queues are, and where no answer comes within 0.1 s, again:
# on a busy machine it has asked so for 10 s, and not called, when the batch is given up.
PATIENT = {"RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30", "RAY_SERVE_QUEUE_LENGTH_RESPONSE_DEADLINE_S": "1"}

CLUSTER = SOON | PATIENT | FAST_MODE | DRAIN | NARROWED | FRONT_END | LARGE | LEVEL

START_SECONDS = 180

# While a HAProxy that knows the application takes the place of one that does not, either may get a connection.
ANSWERS_IN_A_ROW = 5

EXAMPLE = {"sentences": ["i love you"]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Start, wait, stop; returns the exit status."""
    parser = argparse.ArgumentParser(description="Start the service and stay in the foreground.")
    parser.add_argument("config", nargs="?", type=Path, default=PROJECT / "serve_config.yaml", help="Serve's config")
    parser.add_argument("--host", default=os.environ.get(HOST_VARIABLE), help="where HTTP listens instead")
    parser.add_argument("--dashboard", action="store_true", help="with Ray's dashboard: 0.35 GB, and two seconds more")
    options = parser.parse_args(arguments)
    # From here on a SIGTERM is handled like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A terminal that is closed; not where nohup says that it does not matter.
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    # A background job of a shell is deaf to SIGINT otherwise.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        plan = read_config(options.config)
        if options.host:
            plan = dataclasses.replace(plan, host=options.host)
        RUNS.mkdir(exist_ok=True)
        with LOCK.open("a+") as lock:
            if not take_lock(lock):
                raise StartError("the service of this folder runs already; make stop ends it")
            return serve(options.config, plan, options.dashboard)
    except StartError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def serve(config: Path, plan: Plan, dashboard: bool) -> int:
    """Start Ray and Serve, and look after them until Ctrl-C; returns the exit status if they end by themselves.

    Raises:
        StartError: a port or Ray's folder is taken, or the graph does not come up.
    """
    left = end_processes()
    if left:
        print(f"ended {len(left)} processes that an earlier run had left")
    check_memory(plan)
    check_ports(plan.port)
    began = time.monotonic()
    command = [sys.executable, "-m", "serving.lifecycle.start", str(config.resolve())]
    variables = CLUSTER | {"RAY_TMPDIR": ray_folder(), HOST_VARIABLE: plan.host}
    try:
        ADDRESS.unlink(missing_ok=True)
        with LOG.open("w") as log:
            starter = subprocess.Popen(
                command + ["--dashboard"] * dashboard,
                cwd=PROJECT,
                env=marked_environment() | variables,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C goes to the whole foreground group; requests in flight are to be finished first.
                start_new_session=True,
            )
        wait_until_ready(starter, plan)
        seconds = time.monotonic() - began
        print(f"ready after {seconds:.1f} s, Ctrl-C ends it; try: {example(plan.port)}", flush=True)
        ray = vital_processes()
        while len(ray) == len(VITAL) and all(map(is_there, ray)):
            time.sleep(1)
        print(f"Ray ended by itself; {LOGS} say why", file=sys.stderr)
        return 1
    finally:
        stop(plan.settings.deadline_seconds)


def ray_folder() -> str:
    """Where Ray keeps sockets and logs, of this user alone; its sockets need a short path. A link to it is in runs/.

    Raises:
        StartError: somebody else has it, or it cannot be made.
    """
    chosen = os.environ.get("RAY_TMPDIR")
    folder = Path(chosen or f"/tmp/annotator-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"{folder} cannot be made ({error.strerror}); set RAY_TMPDIR") from error
    if not chosen and folder.stat().st_uid != os.getuid():
        raise StartError(f"{folder} is another user's; set RAY_TMPDIR")
    link = RUNS / "ray"
    link.unlink(missing_ok=True)
    link.symlink_to(folder / "ray")
    return str(folder)


def wait_until_ready(starter: "subprocess.Popen[bytes]", plan: Plan) -> None:
    """Wait until every replica runs, and an utterance goes through the whole graph.

    Several times in a row, and by a new connection each time.

    Raises:
        StartError: it does not in time, or it could not be started.
    """
    host = "127.0.0.1" if plan.host in ("0.0.0.0", "*") else plan.host
    request = urllib.request.Request(f"http://{host}:{plan.port}/ready", headers=key_header(plan.settings))
    deadline = time.monotonic() + START_SECONDS
    good = 0
    while time.monotonic() < deadline:
        if starter.poll():
            raise StartError(f"{last_line(LOG)}; see {LOG}")
        good = good + 1 if answers(request) else 0
        if good >= ANSWERS_IN_A_ROW and starter.poll() == 0:
            return
        time.sleep(0.1)
    raise StartError(f"no answer within {START_SECONDS} s; see {LOG} and {LOGS / 'serve'}")


def last_line(log: Path) -> str:
    """What a program that gave up had to say in the end."""
    lines = log.read_text("utf-8", errors="replace").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "Serve could not be started")


def answers(request: urllib.request.Request) -> bool:
    """Whether the answer is there at once, and a good one."""
    try:
        with urllib.request.urlopen(request, timeout=5):
            return True
    except OSError:  # no connection, no answer in time, or an error
        return False


def example(port: int) -> str:
    """A command that shows an answer."""
    return f"curl -s localhost:{port}/model -H 'Content-Type: application/json' -d '{json.dumps(EXAMPLE)}'"


def stop(drain_seconds: float) -> None:
    """Refuse new requests, finish those in flight, then end all processes."""
    # A second Ctrl-C must not leave half a cluster behind.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        drain_front_ends(our_processes, drain_seconds)
    finally:
        end_processes(patience_s=1)
        ADDRESS.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
