"""Prints which top-level modules each running replica has imported, as JSON: name of the replica to modules.

python -m tests.e2e.imported_modules
"""

import json
import os
from typing import Any

# A local cluster is started with a token; whoever wants in reads it from the place where Ray keeps it.
os.environ["RAY_AUTH_MODE"] = "token"
# It listens on loopback alone; else Ray would make the machine's other address of that (the name is of other systems).
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"

import ray
from ray.util.state import list_actors


def top_level_modules(_: Any) -> list[str]:
    """Runs inside the replica."""
    import sys

    return sorted({name.partition(".")[0] for name in sys.modules})


def main() -> None:
    """Connect, ask every replica, print."""
    ray.init(address="auto", namespace="serve", log_to_driver=False, configure_logging=False)
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
