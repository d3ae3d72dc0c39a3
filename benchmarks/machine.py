"""What a benchmark ran on."""

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from serving.settings import PROJECT


def about() -> dict[str, Any]:
    """Date, machine, and the revision of this project."""
    memory = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    processor = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": processor[1] if processor else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": int(memory[1]) * 1024 / 1e9 if memory else 0.0,
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "revision": _revision(),
    }


def _revision() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
