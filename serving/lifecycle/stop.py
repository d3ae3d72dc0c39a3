"""`make stop`: end the service of this checkout, also what a killed run has left.

python -m serving.lifecycle.stop
"""

import fcntl
import os
import signal
import time

from serving.lifecycle.launch import LOCK, STOP_SECONDS
from serving.lifecycle.processes import end_processes


def main() -> None:
    """Ask the launcher to stop, wait for it, then end what no launcher looks after."""
    pid = launcher()
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while launcher() == pid and time.monotonic() < deadline:
            time.sleep(0.1)
    left = end_processes()
    print("stopped" if pid is not None or left else "nothing was running")


def launcher() -> int | None:
    """Pid of the launcher that holds the lock, if one does."""
    try:
        with LOCK.open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return int(lock.read())
    except (FileNotFoundError, ValueError):
        pass
    return None


if __name__ == "__main__":
    main()
