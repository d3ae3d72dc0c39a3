"""`make update`: lay a changed config over the service that runs.

    python -m serving.lifecycle.update [serve_config.yaml]

Checked first, so that a wrong one touches nothing. What changes only `user_config` is in force within seconds, in the
replicas that run; other changes replace replicas one after the other.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from serving.lifecycle.application import deploy, read_schema, wait_until_running
from serving.lifecycle.cluster import connect
from serving.lifecycle.preflight import StartError, read_config
from serving.settings import PROJECT

WAIT_SECONDS = 600


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, deploy, wait; returns the exit status."""
    parser = argparse.ArgumentParser(description="Update the service that runs.")
    parser.add_argument("config", nargs="?", type=Path, default=PROJECT / "serve_config.yaml", help="Serve's config")
    options = parser.parse_args(arguments)
    try:
        read_config(options.config)
        config = read_schema(options.config)
        connect()
        deploy(config)
        wait_until_running(WAIT_SECONDS)
    except StartError as error:
        print(f"not updated: {error}", file=sys.stderr)
        return 1
    print("updated")
    return 0


if __name__ == "__main__":
    # Ctrl-C ends it wherever it is: there is nothing to tidy up, and an exception could get lost in Ray's code.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main())
