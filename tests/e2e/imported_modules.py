"""Prints which top-level modules each running replica has imported, as JSON: name of the replica to modules.

python -m tests.e2e.imported_modules
"""

import json
import os
from pathlib import Path
from typing import Any

# A local cluster is started with a token; whoever wants in reads it from the place where Ray keeps it.
os.environ["RAY_AUTH_MODE"] = "token"
# It listens on loopback alone; else Ray would make the machine's other address of that (the name is of other systems).
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"

import ray
from ray.util.state import list_actors

from serving.lifecycle.processes import our_processes


def top_level_modules(_: Any) -> list[str]:
    """Runs inside the replica."""
    import sys

    return sorted({name.partition(".")[0] for name in sys.modules})


def cluster_address() -> str:
    """Of the service of this checkout; Ray itself would take any cluster that it has a note of, also an ended one."""
    flag = "--gcs-address="
    for pid in our_processes():
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_text("utf-8").split("\0")
        except OSError:  # it ended meanwhile
            continue
        for argument in arguments:
            if argument.startswith(flag):
                return argument.removeprefix(flag)
    raise RuntimeError("no process of the service names its cluster")


def main() -> None:
    """Connect, ask every replica, print."""
    ray.init(address=cluster_address(), namespace="serve", log_to_driver=False, configure_logging=False)
    names = [
        actor.name
        for actor in list_actors(filters=[("state", "=", "ALIVE")], limit=1000)
        if actor.name and actor.name.startswith("SERVE_REPLICA::")
    ]
    asked: dict[str, Any] = {
        name: ray.get_actor(name, namespace="serve").__ray_call__.remote(top_level_modules) for name in names
    }
    print(json.dumps({name: ray.get(modules, timeout=30) for name, modules in asked.items()}))


if __name__ == "__main__":
    main()
