"""Which processes of the service run, seen from the kernel."""

from pathlib import Path

from serving.lifecycle.processes import our_processes
from serving.settings import PROJECT

# Ray writes the name of a replica into its command.
PREFIX = "ray::ServeReplica:annotator:"


def commands(project: Path = PROJECT) -> dict[int, str]:
    """Pids of all processes with a folder's mark, and the command of each."""
    found = {}
    for pid in our_processes(project):
        try:
            found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode()
        except OSError:  # it ended meanwhile
            continue
    return found


def replicas(project: Path = PROJECT) -> dict[int, str]:
    """Pids of all replicas with a folder's mark, and of which deployment each is."""
    return {
        pid: command.removeprefix(PREFIX).split(".")[0]
        for pid, command in commands(project).items()
        if command.startswith(PREFIX)
    }
