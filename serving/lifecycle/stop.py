"""`make stop`: end the service of this checkout, also what a killed run has left.

python -m serving.lifecycle.stop
"""

import os
import signal
import time

from serving.lifecycle.lock import launcher
from serving.lifecycle.processes import end_processes

# Longer than the launcher waits for requests in flight and then for its processes.
STOP_SECONDS = 90


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


if __name__ == "__main__":
    main()
