"""What the processes of the service take, seen from the kernel."""

import contextlib
from pathlib import Path

from benchmarks.processes import memory_mb as proportional_mb
from tests.e2e.processes import commands


def processes(name: str) -> list[int]:
    """Pids of the service whose command begins so; Ray writes the name of a replica there."""
    return [pid for pid, command in commands().items() if command.startswith(name) or f"/{name} " in command]


def memory_mb(pids: list[int]) -> float:
    """Resident memory that they share with nobody, in MB."""
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))
    return total / 1000


def pss_mb(pids: list[int]) -> dict[int, float]:
    """Memory of each in MB; of what several share, its part."""
    found = {}
    for pid in pids:
        with contextlib.suppress(OSError):  # it ended meanwhile
            found[pid] = proportional_mb(pid)
    return found


def open_files(pids: list[int]) -> int:
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)
