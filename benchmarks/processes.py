"""The processes of a contestant, whatever became of their parents, and what they take. Linux only.

All of them inherit a mark in their environment.
"""

import contextlib
import os
import re
import signal
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

MARK = "BENCHMARK_CONTESTANT"
TICKS_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """What the processes of one title have taken together.

    Attributes:
        processes: how many there are.
        memory_mb: PSS, proportional set size: a page that several processes share counts once in all.
        cpu_s: seconds of CPU since their start.
    """

    processes: int
    memory_mb: float
    cpu_s: float


def marked(mark: str) -> list[int]:
    """Pids of the processes that were started under this mark, and of their descendants."""
    wanted = f"{MARK}={mark}".encode()
    return [pid for pid in _pids() if pid != os.getpid() and wanted in _environment(pid)]


def usage(pids: Iterable[int]) -> dict[str, Usage]:
    """What processes have taken, by title."""
    found: defaultdict[str, list[Usage]] = defaultdict(list)
    for pid in pids:
        with contextlib.suppress(OSError):  # it ended meanwhile
            found[title(pid)].append(Usage(1, memory_mb(pid), cpu_s(pid)))
    return {
        name: Usage(len(each), sum(one.memory_mb for one in each), sum(one.cpu_s for one in each))
        for name, each in sorted(found.items())
    }


def cpu_between(before: Mapping[str, Usage], after: Mapping[str, Usage]) -> dict[str, float]:
    """Seconds of CPU by title that were used between two looks; of processes that came in between, all they used."""
    earlier = {name: used.cpu_s for name, used in before.items()}
    # Less than before is of a title whose processes have gone.
    return {name: max(0.0, used.cpu_s - earlier.get(name, 0.0)) for name, used in after.items()}


def title(pid: int) -> str:
    """What a process calls itself: `ray::ServeReplica:annotator:Encoder`, or else the name of its program."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode(errors="replace").strip()
    # Behind a dot Ray tells which method runs just now.
    return words.split(".")[0] if words.startswith("ray::") else Path(f"/proc/{pid}/comm").read_text().strip()


def memory_mb(pid: int) -> float:
    """PSS in MB (10^6 bytes)."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has used, in user and kernel mode."""
    # The second field, the name, is in parentheses and may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_S


def machine_cpu_s() -> float:
    """Seconds of CPU of all cores since the machine started that were not idle, or were taken by its host."""
    user, nice, system, _idle, _waiting, *rest = (int(n) for n in Path("/proc/stat").read_text().split(None, 9)[1:9])
    return (user + nice + system + sum(rest)) / TICKS_S


def own_cpu_s() -> float:
    """Seconds of CPU of this process and of its children that have ended, such as wrk."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def end(mark: str, patience_s: float = 5.0) -> None:
    """End whatever is left under a mark: ask first, then kill."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + patience_s
        for pid in marked(mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        while marked(mark) and time.monotonic() < deadline:
            time.sleep(0.05)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # it ended meanwhile, or is another user's
        return []
