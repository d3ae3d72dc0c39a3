"""Where the time of a placement goes under load, as a picture: py-spy looks at its replicas a hundred times a second.

    python -m benchmarks.profiles [--placements split packed fused] [--connections 32] [--out docs/benchmarks]

Of each kind of replica one is watched, all of them at once. A box is a function, below it what it calls; its width is
the share of all samples in which a thread was in it and on a core. What is no Python (HAProxy, Ray's daemons, threads
of gRPC) is not seen. Needs `wrk`, and `py-spy` (the extra `profile`), which may ask for more rights than one has.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import processes
from benchmarks.capacity import REPLICA
from benchmarks.contestants import CONTESTANTS, OURS
from benchmarks.flames import Samples, draw, read_samples
from benchmarks.growth import put, warm_up
from benchmarks.load import Load, utterances
from benchmarks.running import Running, exits_unless_started, running
from serving.settings import PROJECT

OUT = PROJECT / "runs" / "benchmarks"
START_S = 3
RATE = 100
"""Looks a second."""


def watched(mark: str) -> dict[str, int]:
    """A pid for each kind of replica that the samples of the others would only repeat."""
    found: dict[str, int] = {}
    for pid in processes.marked(mark):
        title = processes.title(pid)
        if title.startswith(REPLICA):
            # The heads differ in nothing but a matrix.
            found["Head" if "Head_" in title else title.removeprefix(REPLICA)] = pid
    return dict(sorted(found.items()))


@contextmanager
def sampling(pids: dict[str, int], seconds: float, folder: Path) -> Iterator[None]:
    """Samples each process for so long, into a file each, and waits for the end of that."""
    program = shutil.which("py-spy") or Path(sys.executable).with_name("py-spy")
    options = ["--format", "raw", "--rate", str(RATE), "--duration", f"{seconds:g}", "--nonblocking"]
    recorders = [
        subprocess.Popen(
            [program, "record", *options, "--output", folder / name, "--pid", str(pid)], stdout=subprocess.DEVNULL
        )
        for name, pid in pids.items()
    ]
    yield
    for recorder in recorders:
        if recorder.wait(seconds + 60):
            raise OSError(f"py-spy ended with status {recorder.returncode}")


def profile(service: Running, load: Load, seconds: float) -> dict[str, Samples]:
    """Samples of each kind of replica under a load."""
    warm_up(service)
    with tempfile.TemporaryDirectory() as folder:
        pids = watched(service.mark)
        with sampling(pids, seconds, Path(folder)):
            put(service, load, seconds + START_S, utterances())
        return {name: read_samples((Path(folder) / name).read_text("utf-8")) for name in pids}


@exits_unless_started()
def main(arguments: Sequence[str] | None = None) -> None:
    """Start, load, sample, draw."""
    parser = argparse.ArgumentParser(description="Profiles of the placements under load.")
    parser.add_argument("--placements", nargs="+", choices=OURS, default=OURS, help="(all)")
    parser.add_argument("--connections", type=int, default=32, help="of one utterance (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="(%(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the pictures (%(default)s)")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    load = Load(options.connections, 1)
    for placement in options.placements:
        with running(CONTESTANTS[placement]) as service:
            found = profile(service, load, options.seconds)
        path = options.out / f"profile-{placement}.png"
        draw(found, f"{placement}, {load}", path)
        print(path, {name: f"{samples.total / RATE / options.seconds:.0%}" for name, samples in found.items()})


if __name__ == "__main__":
    main()
