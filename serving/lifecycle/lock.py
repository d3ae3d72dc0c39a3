"""One service a checkout: its launcher holds a lock, which the kernel frees when the launcher is gone."""

import fcntl
import os
from typing import TextIO

from serving.settings import PROJECT

RUNS = PROJECT / "runs"
LOCK = RUNS / "service.lock"
ADDRESS = RUNS / "service.address"
"""Where Ray listens that the launcher has started; not there while it starts."""


def take_lock(lock: TextIO) -> bool:
    """Make this process the only launcher of the checkout; False where another one runs."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return True


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
