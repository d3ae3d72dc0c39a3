"""Starting and ending, also after what should not happen."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from serving.lifecycle.processes import MARK, end_processes, name, our_processes
from serving.settings import PROJECT
from tests.e2e.conftest import URL, Service, user_environment

SERVE = str(Path(sys.executable).with_name("serve"))
RAY = str(Path(sys.executable).with_name("ray"))
DASHBOARD = "http://127.0.0.1:8265"

# A request that takes seconds.
LONG = [f"tell me more about the number {i}" for i in range(4096)]


def make(target: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", target], cwd=PROJECT, capture_output=True, text=True, timeout=120)


def answers() -> bool:
    try:
        return httpx.post(f"{URL}/model", json={"sentences": ["hello"]}, timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def readiness(goes_on: Callable[[], bool]) -> Iterator[httpx.Response]:
    """What /ready answers meanwhile, by a new connection each time; nothing where nobody listens, yet or any more."""
    while goes_on():
        with contextlib.suppress(httpx.TransportError):
            yield httpx.get(f"{URL}/ready", timeout=30)
        time.sleep(0.02)


def haproxies() -> list[int]:
    return [pid for pid in our_processes() if name(pid) == "haproxy"]


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """A folder for Ray's files; not pytest's, whose path is too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def test_make_serve_says_ready_once_with_a_command_that_works(ray_folder: Path) -> None:
    # What a cluster of somebody else leaves when it is killed; Ray would try to join it for minutes.
    (ray_folder / "ray").mkdir()
    (ray_folder / "ray" / "ray_current_cluster").write_text("127.0.0.1:9")
    served = Service(["make", "serve"], {"RAY_TMPDIR": str(ray_folder)})
    try:
        starting = [*readiness(lambda: not served.lines and served.process.poll() is None)]
        assert served.lines[0].startswith("ready after "), served.lines
        assert {answer.status_code for answer in starting} <= {200, 503}
        said = time.monotonic()
        settled = [*readiness(lambda: time.monotonic() - said < 1)]
        assert {answer.status_code for answer in settled} == {200}
        second = make("serve")
        assert second.returncode != 0
        assert "runs already" in second.stderr
        assert answers()
        (line,) = served.lines
        command = line.partition("try: ")[2]
        assert command.startswith("curl ")
        if shutil.which("curl"):
            curl = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
            assert curl.stdout.startswith('[{"emotion_classification":')
    finally:
        served.press_ctrl_c()
    assert our_processes() == []
    assert not answers()


def test_what_a_killed_run_left_is_ended_by_the_next_start_and_by_stop() -> None:
    for _ in range(2):
        served = Service(["make", "serve"])
        served.wait_until_ready()
        assert answers()
        kill_all_but_haproxy()
        served.wait()
        assert haproxies(), "when HAProxy no longer outlives its parents, this test has lost its subject"

    assert make("stop").stdout == "stopped\n"
    assert our_processes() == []
    assert make("stop").stdout == "nothing was running\n"


def test_make_stop_ends_a_running_service_in_order_and_it_is_not_ready_meanwhile() -> None:
    served = Service(["make", "serve", "CONFIG=configs/serve/fused.yaml"])
    served.wait_until_complete()
    with ThreadPoolExecutor() as pool:
        in_flight = pool.submit(httpx.post, f"{URL}/model", json={"sentences": LONG}, timeout=60)
        time.sleep(0.5)
        stopping = pool.submit(make, "stop")
        meanwhile = [*readiness(lambda: not stopping.done())]
    assert stopping.result().stdout == "stopped\n"
    assert in_flight.result().status_code == 200
    assert len(in_flight.result().json()) == len(LONG)
    refused = [answer for answer in meanwhile if answer.status_code != 200]
    assert refused
    assert meanwhile[-len(refused) :] == refused, "ready again while it ends"
    for answer in refused:
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "unavailable")
    assert served.wait() == 0
    assert our_processes() == []


def test_with_the_dashboard_rays_own_tools_find_the_service() -> None:
    served = Service(["make", "serve", "CONFIG=configs/serve/fused.yaml", "DASHBOARD=1"])
    try:
        served.wait_until_complete()
        assert answers()
        assert httpx.get(f"{DASHBOARD}/api/version", timeout=30).status_code == 401
        environment = os.environ | {"RAY_AUTH_MODE": "token"}
        status = subprocess.run([SERVE, "status"], env=environment, capture_output=True, timeout=60, check=True)
        assert b"RUNNING" in status.stdout
    finally:
        served.press_ctrl_c()
    assert our_processes() == []


def test_plain_serve_run_works(ray_folder: Path) -> None:
    served = Service([SERVE, "run", "serve_config.yaml"], {MARK: str(PROJECT), "RAY_TMPDIR": str(ray_folder)})
    try:
        served.wait_until_ready()
        assert answers()
    finally:
        served.press_ctrl_c()
    end_processes()


def test_serve_deploy_works_on_a_cluster(ray_folder: Path) -> None:
    environment = user_environment() | {MARK: str(PROJECT), "RAY_AUTH_MODE": "token", "RAY_TMPDIR": str(ray_folder)}
    ray_start = [RAY, "start", "--head", "--num-cpus=2", "--disable-usage-stats"]
    subprocess.run(ray_start, env=environment, check=True, capture_output=True, timeout=120)
    try:
        subprocess.run(
            [SERVE, "deploy", "serve_config.yaml"],
            cwd=PROJECT,
            env=environment,
            check=True,
            capture_output=True,
            timeout=120,
        )
        deadline = time.monotonic() + 120
        while not answers() and time.monotonic() < deadline:
            time.sleep(0.5)
        assert answers()
        status = subprocess.run([SERVE, "status"], env=environment, check=True, capture_output=True, timeout=60)
        assert b"RUNNING" in status.stdout
        subprocess.run([SERVE, "shutdown", "-y"], env=environment, check=True, capture_output=True, timeout=120)
    finally:
        end_processes()
    assert our_processes() == []


def kill_all_but_haproxy() -> None:
    """What an out-of-memory killer does at its worst.

    All are stopped before the first is killed: else the raylet, or HAProxy's parent, would find time to end HAProxy.
    """
    victims = sorted({*launchers(), *our_processes()} - set(haproxies()))
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in victims:
            send(pid, number)


def launchers() -> list[int]:
    """Pids of `python -m serving.lifecycle.launch` in this checkout."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
                here = (entry / "cwd").readlink() == PROJECT
            except OSError:
                continue
            if here and b"-m\0serving.lifecycle.launch\0" in command:
                found.append(int(entry.name))
    return found


def send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
