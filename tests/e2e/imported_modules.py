"""Prints which top-level modules each running replica has imported, as JSON: name of the replica to modules.

python -m tests.e2e.imported_modules
"""

import json
from typing import Any

from serving.lifecycle.cluster import connect


def top_level_modules(_: Any) -> list[str]:
    """Runs inside the replica."""
    import sys

    return sorted({name.partition(".")[0] for name in sys.modules})


def main() -> None:
    """Connect, ask every replica, print."""
    connect()
    import ray  # not before: it reads the environment

    names = [name for name in ray.util.list_named_actors() if name.startswith("SERVE_REPLICA::")]
    asked: dict[str, Any] = {
        name: ray.get_actor(name, namespace="serve").__ray_call__.remote(top_level_modules) for name in names
    }
    print(json.dumps({name: ray.get(modules, timeout=30) for name, modules in asked.items()}))


if __name__ == "__main__":
    main()
