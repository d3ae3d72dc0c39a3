"""A virtual environment a peer, made once and again when its pinned versions change.

    python -m benchmarks.environments [PEER ...]

Needs a package index; what is installed lies in runs/peers.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from serving.settings import PROJECT

PEERS = Path(__file__).with_name("peers")
PLACE = PROJECT / "runs" / "peers"
STAMP = "installed.txt"


def program(peer: str, name: str) -> Path:
    """A program of a peer's environment."""
    return PLACE / peer / "bin" / name


def pinned(peer: str) -> Path:
    """The list of everything in a peer's environment, each with its version."""
    return PEERS / peer / "requirements.txt"


def make(peer: str) -> None:
    """Install what a peer needs, if that is not what is there already."""
    stamp = PLACE / peer / STAMP
    wanted = pinned(peer).read_text("utf-8")
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return
    print(f"installing {peer}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", PLACE / peer], check=True)
    # The list is complete. Left to find dependencies, pip would refuse what is known to work together.
    options = ["install", "--quiet", "--no-deps", "--requirement", str(pinned(peer))]
    subprocess.run([program(peer, "pip"), *options], check=True)
    stamp.write_text(wanted, "utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make those that are named, or all."""
    peers = sorted(path.parent.name for path in PEERS.glob("*/requirements.txt"))
    parser = argparse.ArgumentParser(description="Environments of the peers.")
    parser.add_argument("peers", nargs="*", metavar="PEER", help=f"of {', '.join(peers)}; all, if none is named")
    named = parser.parse_args(arguments).peers
    if unknown := set(named) - set(peers):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    for peer in named or peers:
        make(peer)


if __name__ == "__main__":
    main()
