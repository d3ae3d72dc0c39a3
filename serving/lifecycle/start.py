"""Ray, and the application of a Serve config on it.

    python -m serving.lifecycle.start serve_config.yaml [--dashboard]

`serve run` would stay itself: this program ends when the application runs, and what it has started goes on.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from serving.lifecycle.application import read_schema, run
from serving.lifecycle.cluster import join, start_ray
from serving.lifecycle.preflight import StartError


def main(arguments: Sequence[str] | None = None) -> int:
    """Start Ray, deploy, wait; returns the exit status."""
    parser = argparse.ArgumentParser(description="Start Ray on this machine alone, and an application on it.")
    parser.add_argument("config", type=Path, help="Serve's config")
    parser.add_argument("--dashboard", action="store_true", help="with Ray's dashboard, and all that comes with it")
    options = parser.parse_args(arguments)
    try:
        config = read_schema(options.config)
        join(start_ray(options.dashboard))
        run(config)
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
