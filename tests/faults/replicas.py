"""Which replicas run, seen from the kernel."""

from pathlib import Path

from serving.lifecycle.processes import our_processes
from serving.settings import PROJECT

# Ray writes the name of a replica into its command.
PREFIX = "ray::ServeReplica:annotator:"


def replicas(project: Path = PROJECT) -> dict[int, str]:
    """Pids of all replicas with a folder's mark, and of which deployment each is."""
    found = {}
    for pid in our_processes(project):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
        except OSError:  # it ended meanwhile
            continue
        if command.startswith(PREFIX):
            found[pid] = command.removeprefix(PREFIX).split(".")[0]
    return found
