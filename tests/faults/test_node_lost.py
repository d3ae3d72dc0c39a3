"""A cluster of two nodes on this machine, and one of them dies with all that runs on it."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from serving.lifecycle.launch import CLUSTER
from serving.lifecycle.processes import end_processes, marked_environment, our_processes
from serving.settings import PROJECT
from tests.e2e.conftest import URL
from tests.e2e.contract import chat_lines
from tests.e2e.processes import replicas
from tests.faults.conftest import Count, Figure
from tests.faults.load import post, put_load_while

REQUESTS = [post([line]) for line in chat_lines()]
# Tells Ray that it is on a machine alone, which two nodes are not.
ALONE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
GCS = "127.0.0.1:6390"
ENCODERS, INGRESSES = 4, 2
START_SECONDS = 240
BEFORE_SECONDS, AFTER_SECONDS = 3, 10
CONNECTIONS = 8
MOVE_SECONDS = 120
NODE = ["--node-ip-address=127.0.0.1", "--num-cpus=2", "--object-store-memory=100000000", "--disable-usage-stats"]
# Nobody else reaches the loopback of a test, and a token would be left in the home of who runs it.
NO_TOKEN = {"RAY_AUTH_MODE": "disabled"}
HEAD = ["--head", "--port=6390", "--include-dashboard=true", "--dashboard-host=127.0.0.1"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Ray puts sockets there, whose paths may have no more than 107 characters."""
    path = Path(tempfile.mkdtemp(prefix="nodes", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def config(folder: Path) -> Path:
    """The one for clusters, small, and with the front end on the first node alone: both nodes have the same ports."""
    config = yaml.safe_load((PROJECT / "configs" / "serve" / "cluster.yaml").read_text("utf-8"))
    config["proxy_location"] = "HeadOnly"
    config["http_options"]["host"] = "127.0.0.1"
    (application,) = config["applications"]
    ingress, encoder = application["deployments"]
    for deployment in (ingress, encoder):
        del deployment["autoscaling_config"]
        deployment["ray_actor_options"]["num_cpus"] = 0.1
    ingress |= {"num_replicas": INGRESSES, "max_replicas_per_node": 1}
    encoder |= {"num_replicas": ENCODERS, "max_replicas_per_node": ENCODERS}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    return path


def start_node(project: Path, *arguments: str) -> None:
    """Start a node whose processes bear the mark of this folder."""
    variables = {name: value for name, value in CLUSTER.items() if name != ALONE}
    environment = marked_environment(project) | variables | NO_TOKEN | {"PYTHONPATH": str(PROJECT)}
    ray(environment, "start", *arguments, *NODE)


def ray(environment: dict[str, str], *arguments: str, program: str = "ray") -> None:
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def second(folder: Path, config: Path) -> Iterator[Path]:
    """Both nodes and the service on them; the folder that marks the second."""
    assert our_processes() == [], "the service of this folder runs: make stop"
    try:
        start_node(PROJECT, *HEAD, f"--temp-dir={folder}")
        start_node(folder, f"--address={GCS}")
        ray(dict(os.environ) | NO_TOKEN, "deploy", str(config), program="serve")
        deadline = time.monotonic() + START_SECONDS
        wanted = {"Ingress": INGRESSES, "EncoderAndHeads": ENCODERS}
        while of_each(PROJECT) + of_each(folder) != wanted or not answers():
            assert time.monotonic() < deadline, (of_each(PROJECT), of_each(folder))
            time.sleep(0.2)
        yield folder
    finally:
        end_processes(folder)
        end_processes()


def answers() -> bool:
    try:
        return httpx.get(f"{URL}/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def of_each(project: Path) -> Counter[str]:
    """How many replicas of each deployment are on the node with the mark of this folder."""
    return Counter(replicas(project).values())


def kill_node(project: Path) -> int:
    """Every process of the node at once, as when a machine loses its power."""
    # An orphaned HAProxy is everybody's.
    pids = set(our_processes(project)) - set(our_processes())
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return len(pids)


@pytest.mark.long_faults
def test_a_node_is_lost(second: Path, figure: Figure, wrong_answers: Count) -> None:
    here, there = of_each(PROJECT), of_each(second)
    assert here["Ingress"] == there["Ingress"] == 1
    assert there["EncoderAndHeads"] >= 1, "Serve spreads replicas over nodes"

    def lose() -> tuple[float, float]:
        time.sleep(BEFORE_SECONDS)
        killed = time.monotonic()
        assert kill_node(second)
        while of_each(PROJECT)["EncoderAndHeads"] < ENCODERS:
            assert time.monotonic() < killed + MOVE_SECONDS, of_each(PROJECT)
            time.sleep(0.2)
        moved = time.monotonic()
        time.sleep(AFTER_SECONDS)
        return killed, moved

    (killed, moved), record = asyncio.run(put_load_while(lose, REQUESTS, CONNECTIONS))
    lost = [reply for reply in record.replies if reply.status != 200]
    back = max((reply.sent + reply.seconds - killed for reply in lost), default=0.0)
    slowest = max(reply.seconds for reply in record.replies)
    assert of_each(second) == Counter()
    assert of_each(PROJECT) == {"Ingress": 1, "EncoderAndHeads": ENCODERS}
    assert wrong_answers(record) == 0
    assert {reply.status for reply in record.replies if reply.sent > moved} == {200}
    figure(
        "a node lost",
        f"{there.total()} of {here.total() + there.total()} replicas with it; {len(record.replies)} requests, 0 wrong, "
        f"{len(lost)} lost, all answered again after {back:.1f} s, the slowest after {slowest:.1f} s; "
        f"encoders all there again after {moved - killed:.1f} s",
    )
