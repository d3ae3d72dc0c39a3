"""The load: wrk keeps so many connections busy, each with its next request as soon as the last one is answered.

wrk is Debian's package of that name; which bodies it posts is in load.lua. Load goes to 127.0.0.1 only.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("load.lua")
UTTERANCES = Path(__file__).with_name("utterances.txt")
TIMEOUT_S = 60


@dataclass(frozen=True)
class Load:
    """So many connections, each request with so many utterances."""

    connections: int
    utterances: int

    def __str__(self) -> str:
        requests = "1 connection" if self.connections == 1 else f"{self.connections} connections"
        return f"{requests} of {'1 utterance' if self.utterances == 1 else f'{self.utterances} utterances'}"

    @property
    def name(self) -> str:
        """Short, for files."""
        return f"{self.connections}x{self.utterances}"


LOADS = (Load(1, 1), Load(8, 1), Load(32, 1), Load(128, 1), Load(4, 32))


@dataclass(frozen=True)
class Served:
    """What came of a load.

    Attributes:
        p50_ms: median latency of a request.
        p99_ms: 99 % of the requests took no longer.
        requests_s: answered a second.
        utterances_s: the same, in utterances.
        errors: answers that were no success, and connections that broke or took longer than `TIMEOUT_S`.
    """

    p50_ms: float
    p99_ms: float
    requests_s: float
    utterances_s: float
    errors: int


def utterances() -> list[str]:
    """The committed ones, in a random order that is always the same."""
    return UTTERANCES.read_text("utf-8").splitlines()


def write_bodies(path: Path, texts: Sequence[str], size: int, body: Callable[[Sequence[str]], str]) -> None:
    """A request a line, each with the next `size` texts; as many lines as texts, so that each text is in each place."""
    again = [*texts, *texts[: size - 1]]
    lines = (body(again[begin : begin + size]) for begin in range(len(texts)))
    path.write_text("\n".join(lines) + "\n", "utf-8")


def put_load(url: str, bodies: Path, load: Load, seconds: float) -> Served:
    """Keep the service busy for so long.

    Raises:
        FileNotFoundError: wrk is not installed.
        ChildProcessError: wrk could not do it; mostly, nobody listens any more.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise FileNotFoundError("wrk is not installed: apt-get install wrk")
    # One thread: two would take turns with what is measured, and one makes far more requests than are answered here.
    options = ["-t1", f"-c{load.connections}", f"-d{seconds:g}s", f"--timeout={TIMEOUT_S}s", f"-s{SCRIPT}"]
    ended = subprocess.run([wrk, *options, url, "--", bodies], capture_output=True, text=True, check=False)
    if ended.returncode:
        told = (ended.stderr or ended.stdout).strip().splitlines()
        raise ChildProcessError(f"wrk ended with status {ended.returncode}: {told[0] if told else 'it said nothing'}")
    return read_result(ended.stdout, load)


def read_result(printed: str, load: Load) -> Served:
    """The last line of what wrk printed is that of load.lua."""
    result = json.loads(printed.splitlines()[-1])
    # wrk's requests are those that were answered, with whatever status: broken connections are not among them.
    rate = (result["requests"] - result["refused"]) / result["seconds"]
    return Served(result["p50_ms"], result["p99_ms"], rate, rate * load.utterances, result["errors"])
