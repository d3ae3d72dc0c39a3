"""The three placements of the graph side by side, as a user starts them, under the load of wrk.

    python -m benchmarks.placements [--rounds 3] [--seconds 6]

Needs `wrk` (Debian's package of that name). Rounds are interleaved, medians are printed with the range over the
rounds: the machine may be shared and noisy. Load goes to 127.0.0.1 only.
"""

import argparse
import csv
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from serving.lifecycle.launch import wait_until_ready
from serving.lifecycle.preflight import read_config
from serving.lifecycle.processes import our_processes
from serving.settings import PROJECT

CONFIGS = {
    "split": PROJECT / "serve_config.yaml",
    "packed": PROJECT / "configs" / "serve" / "packed.yaml",
    "fused": PROJECT / "configs" / "serve" / "fused.yaml",
}
PORT = 8000
LINES = PROJECT / "tests" / "models" / "chat_lines.tsv"

Figures = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="The three placements side by side.")
    parser.add_argument("--rounds", type=int, default=3, help="starts of each placement (%(default)s)")
    parser.add_argument("--seconds", type=int, default=6, help="length of each load (%(default)s)")
    options = parser.parse_args(arguments)
    measured: dict[str, list[Figures]] = {placement: [] for placement in CONFIGS}
    with tempfile.TemporaryDirectory() as folder:
        scripts = {sentences: write_script(Path(folder), sentences) for sentences in (1, 32)}
        for _ in range(options.rounds):
            for placement, config in CONFIGS.items():
                measured[placement].append(measure(config, scripts, options.seconds))
    print_table(measured)


def measure(config: Path, scripts: dict[int, Path], seconds: int) -> Figures:
    """Start one placement and put every load on it."""
    figures: Figures = {}
    with running(config) as started:
        figures["seconds to the first answer"] = started
        load(scripts[1], 32, 2)  # warm
        figures["p50, 1 connection, ms"] = load(scripts[1], 1, seconds)[1]
        for connections in (32, 128):
            figures[f"requests/s, {connections} connections"] = load(scripts[1], connections, seconds)[0]
        figures["utterances/s, 4 connections of 32"] = 32 * load(scripts[32], 4, seconds)[0]
        figures["memory of all processes, PSS, MB"] = memory()
    return figures


@contextmanager
def running(config: Path) -> Iterator[float]:
    """A service from start to stop; yields the seconds until its first answer."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.lifecycle.launch", config], cwd=PROJECT, stdout=subprocess.DEVNULL
    )
    try:
        wait_until_ready(process, read_config(config))
        yield time.monotonic() - began
    finally:
        subprocess.run(
            [sys.executable, "-m", "serving.lifecycle.stop"], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL
        )
        process.wait()


def write_script(folder: Path, sentences: int) -> Path:
    """A wrk script that posts other lines with each request."""
    with LINES.open(encoding="utf-8", newline="") as stream:
        lines = [row["text"] for row in csv.DictReader(stream, delimiter="\t")]
    bodies = [
        json.dumps({"sentences": [lines[(i + k) % len(lines)] for k in range(sentences)]}) for i in range(len(lines))
    ]
    path = folder / f"{sentences}.lua"
    path.write_text(
        "local bodies = {" + ",".join(f"[==[{body}]==]" for body in bodies) + "}\n"
        'local headers = {["Content-Type"] = "application/json"}\n'
        "local n = 0\n"
        "request = function()\n"
        "  n = n % #bodies + 1\n"
        '  return wrk.format("POST", "/model", headers, bodies[n])\n'
        "end\n"
    )
    return path


def load(script: Path, connections: int, seconds: int) -> tuple[float, float]:
    """Requests a second and the median latency in ms; any answer that is not 200 ends the benchmark."""
    printed = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script, f"http://127.0.0.1:{PORT}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if "Non-2xx" in printed or "Socket errors" in printed:
        raise RuntimeError(printed)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    median = re.search(r"50%\s+([\d.]+)(us|ms|s)", printed)
    if rate is None or median is None:
        raise RuntimeError(printed)
    return float(rate[1]), float(median[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[median[2]]


def memory() -> float:
    """Proportional set size of all processes of the service, in MB: shared pages count once."""
    total = 0
    for pid in our_processes():
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        total += int(found[1]) if found else 0
    return total / 1000


def print_table(measured: dict[str, list[Figures]]) -> None:
    """Medians over the rounds, with lowest and highest."""
    print(f"| figure | {' | '.join(measured)} |\n| --- |{' --- |' * len(measured)}")
    for figure in next(iter(measured.values()))[0]:
        cells = []
        for rounds in measured.values():
            values = [figures[figure] for figures in rounds]
            digits = 0 if max(values) >= 100 else 1
            low, middle, high = (f"{v:,.{digits}f}" for v in (min(values), statistics.median(values), max(values)))
            cells.append(f"{middle} ({low}-{high})")
        print(f"| {figure} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
