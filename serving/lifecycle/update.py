"""`make update`: lay a changed config over the service that runs.

    python -m serving.lifecycle.update [serve_config.yaml]

Checked first, so that a wrong one touches nothing. What changes only `user_config` is in force within seconds, in the
replicas that run; other changes replace replicas one after the other.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from serving.lifecycle.preflight import StartError, read_config
from serving.settings import PROJECT

WAIT_SECONDS = 600

# To ask costs two seconds of a core, and Ray's replicas give way to whoever asks: they run with nice 15.
PAUSE_SECONDS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, deploy, wait; returns the exit status."""
    parser = argparse.ArgumentParser(description="Update the service that runs.")
    parser.add_argument("config", nargs="?", type=Path, default=PROJECT / "serve_config.yaml", help="Serve's config")
    options = parser.parse_args(arguments)
    try:
        read_config(options.config)
        _serve("deploy", str(options.config.resolve()))
        wait_until_running()
    except StartError as error:
        print(f"not updated: {error}", file=sys.stderr)
        return 1
    print("updated")
    return 0


def wait_until_running() -> None:
    """Wait until Serve says that what it was last told to run is running.

    Raises:
        StartError: it does not in time, or Serve has given up.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        applications = yaml.safe_load(_serve("status"))["applications"]
        states = {application["status"] for application in applications.values()}
        if states == {"RUNNING"}:
            return
        failed = [a["message"] for a in applications.values() if a["status"] in ("DEPLOY_FAILED", "UNHEALTHY")]
        if failed:
            raise StartError(f"Serve says: {' '.join(failed[0].split())}")
        time.sleep(PAUSE_SECONDS)
    raise StartError(f"not done after {WAIT_SECONDS} s; `serve status` says more")


def _serve(*arguments: str) -> str:
    """Run Serve's own command line against the cluster that runs on this machine; returns what it prints."""
    done = subprocess.run(
        [Path(sys.executable).with_name("serve"), *arguments],
        # A local cluster is started with a token; whoever wants in reads it from the place where Ray keeps it.
        env=os.environ | {"RAY_AUTH_MODE": "token"},
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise StartError(f"no service runs here, or it cannot be reached: {_last_line(done.stderr)}")
    return done.stdout


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


if __name__ == "__main__":
    sys.exit(main())
