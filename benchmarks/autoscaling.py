"""Autoscaling, shown: a load that steps up and down, and the replicas that follow it.

    python -m benchmarks.autoscaling [--config serve_config.yaml] [--base 40] [--out docs/benchmarks]

Idle, twice a base rate, eight times the base rate, idle: requests of one utterance come at their times whether or not
earlier ones are answered, so that a slow service gets a queue and no pity. Each second is noted what came, what was
answered and how fast, and how many replicas each deployment has. Load goes to 127.0.0.1 only. Written are
autoscaling-NAME.json and .png, by the name of the config. Without --out they go to runs/benchmarks.

A config that spreads replicas over nodes is laid on this one machine: see `on_one_node`.
"""

import argparse
import asyncio
import dataclasses
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import matplotlib as mpl
import numpy as np
import yaml
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmarks import machine
from benchmarks.capacity import REPLICA
from benchmarks.contestants import CONTESTANTS, Contestant
from benchmarks.load import utterances
from benchmarks.running import exits_unless_started, running
from serving.settings import PROJECT

mpl.use("Agg")

OUT = PROJECT / "runs" / "benchmarks"
TIMEOUT_S = 60
# Two ingresses and three encoders on 2 cores, which is what a node of 4 cores holds, and one ingress more.
SHARE_OF_A_CORE = 0.4


@dataclass(frozen=True)
class Phase:
    """So many requests a second for so long."""

    requests_s: float
    seconds: float


@dataclass(frozen=True)
class Reply:
    """One request.

    Attributes:
        due_s: when it had to be sent, since the start.
        latency_s: from then until its answer was complete; that it was sent late counts.
        status: 0 for none.
    """

    due_s: float
    latency_s: float
    status: int


@dataclass
class Record:
    """All that was noted."""

    replies: list[Reply] = field(default_factory=list)
    replicas: list[tuple[float, dict[str, int]]] = field(default_factory=list)

    def lost(self) -> int:
        """Requests without a good answer."""
        return sum(reply.status != 200 for reply in self.replies)


def on_one_node(config: Path, out: Path) -> Path:
    """The config itself, or, where it limits replicas a node, a copy in `out` that one machine can hold.

    In the copy the limit is gone and a replica reserves `SHARE_OF_A_CORE`; the scaling is as it was.
    """
    told = yaml.safe_load(config.read_text("utf-8"))
    limited = [one for app in told["applications"] for one in app["deployments"] if "max_replicas_per_node" in one]
    if not limited:
        return config
    told["http_options"]["host"] = "127.0.0.1"
    for deployment in limited:
        del deployment["max_replicas_per_node"]
        deployment["ray_actor_options"]["num_cpus"] = SHARE_OF_A_CORE
    out.mkdir(parents=True, exist_ok=True)
    copy = out / config.name
    copy.write_text(yaml.safe_dump(told, sort_keys=False), "utf-8")
    return copy


def times_of(phases: Sequence[Phase]) -> list[float]:
    """When requests are due, in seconds since the start, evenly within a phase."""
    due: list[float] = []
    begin = 0.0
    for phase in phases:
        due += [begin + k / phase.requests_s for k in range(int(phase.requests_s * phase.seconds))]
        begin += phase.seconds
    return due


async def offer(url: str, phases: Sequence[Phase], count: Callable[[], dict[str, int]]) -> Record:
    """Send each request at its time, and look each second which replicas there are."""
    record = Record()
    texts = utterances()
    began = time.monotonic()
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:

        async def send(due_s: float, text: str) -> None:
            status = 0
            try:
                async with session.post(url, json={"sentences": [text]}) as answer:
                    await answer.read()
                    status = answer.status
            except (aiohttp.ClientError, TimeoutError):
                pass  # told by the status
            record.replies.append(Reply(due_s, time.monotonic() - began - due_s, status))

        watching = asyncio.create_task(_watch(record, began, count))
        sending: set[asyncio.Task[None]] = set()
        for number, due_s in enumerate(times_of(phases)):
            await asyncio.sleep(max(0.0, began + due_s - time.monotonic()))
            task = asyncio.create_task(send(due_s, texts[number % len(texts)]))
            sending.add(task)
            task.add_done_callback(sending.discard)
        await asyncio.gather(*sending)
        await asyncio.sleep(max(0.0, began + sum(phase.seconds for phase in phases) - time.monotonic()))
        watching.cancel()
    return record


async def _watch(record: Record, began: float, count: Callable[[], dict[str, int]]) -> None:
    while True:
        # In a thread: reading /proc takes tens of milliseconds, in which no request would be sent.
        replicas = await asyncio.to_thread(count)
        record.replicas.append((time.monotonic() - began, replicas))
        await asyncio.sleep(1)


def by_second(replies: Sequence[Reply], seconds: int) -> dict[str, list[float]]:
    """For each second: offered, answered well in it, p50 and p99 in ms of what was due in it (NaN for nothing)."""
    offered = Counter(int(reply.due_s) for reply in replies)
    served = Counter(int(reply.due_s + reply.latency_s) for reply in replies if reply.status == 200)
    latencies: dict[int, list[float]] = {}
    for reply in replies:
        latencies.setdefault(int(reply.due_s), []).append(1000 * reply.latency_s)

    def percentile(second: int, share: float) -> float:
        return float(np.percentile(latencies[second], share)) if second in latencies else float("nan")

    return {
        "offered": [float(offered[second]) for second in range(seconds)],
        "served": [float(served[second]) for second in range(seconds)],
        "p50": [percentile(second, 50) for second in range(seconds)],
        "p99": [percentile(second, 99) for second in range(seconds)],
    }


def draw(record: Record, phases: Sequence[Phase], title: str, path: Path) -> None:
    """Load, latency and replicas over time."""
    length = int(sum(phase.seconds for phase in phases))
    seconds = range(length)
    series = by_second(record.replies, length)
    picture = Figure(figsize=(10, 8), layout="constrained")
    load, latency, replicas = picture.subplots(3, 1, sharex=True)
    load.plot(seconds, series["offered"], color="#9aa5b1", label="offered")
    load.plot(seconds, series["served"], color="#1668b8", label="served", linewidth=1)
    load.set_ylabel("requests/s")
    load.set_title(f"{title}: {len(record.replies):,} requests, {record.lost()} without a good answer", fontsize=10)
    latency.plot(seconds, series["p50"], color="#1668b8", label="p50")
    latency.plot(seconds, series["p99"], color="#d9822b", label="p99", linewidth=1)
    latency.set_yscale("log")
    latency.set_ylabel("ms")
    names = sorted({name for _, found in record.replicas for name in found})
    shown = [name for name in names if len({found.get(name, 0) for _, found in record.replicas}) > 1] or names
    for name in shown:
        times = [at for at, _ in record.replicas]
        replicas.step(times, [found.get(name, 0) for _, found in record.replicas], where="post", label=name)
    replicas.set_ylabel("replicas")
    replicas.yaxis.set_major_locator(MaxNLocator(integer=True))
    replicas.set_xlabel("seconds")
    for axis in (load, latency, replicas):
        axis.legend(fontsize=8, loc="upper right")
        axis.grid(alpha=0.3)
    picture.savefig(path, dpi=110)


@exits_unless_started()
def main(arguments: Sequence[str] | None = None) -> None:
    """Start, load, watch, and write what came of it."""
    parser = argparse.ArgumentParser(description="Replicas under a load that steps up and down.")
    parser.add_argument("--config", type=Path, default=Path("serve_config.yaml"), help="Serve's config (%(default)s)")
    parser.add_argument("--base", type=float, default=40, help="requests/s of which 2 and 8 times come (%(default)s)")
    parser.add_argument("--seconds", type=float, default=40, help="length of each step with load (%(default)s)")
    parser.add_argument("--idle", type=float, default=150, help="length of the idle at the end (%(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for what is written (%(default)s)")
    options = parser.parse_args(arguments)
    phases = [
        Phase(0, 10),
        Phase(2 * options.base, options.seconds),
        Phase(8 * options.base, options.seconds),
        Phase(0, options.idle),
    ]
    config = on_one_node(options.config, OUT)
    service = Contestant("autoscaling", "autoscaling", ("make", "serve", f"CONFIG={config}"), CONTESTANTS["split"].url)
    with running(service) as started:

        def count() -> dict[str, int]:
            found = started.usage()
            return {t.removeprefix(REPLICA): u.processes for t, u in found.items() if t.startswith(REPLICA)}

        record = asyncio.run(offer(service.url, phases, count))
    options.out.mkdir(parents=True, exist_ok=True)
    written = options.out / f"autoscaling-{options.config.stem}"
    told: dict[str, Any] = {"about": machine.about(), "phases": [dataclasses.asdict(phase) for phase in phases]}
    length = int(sum(phase.seconds for phase in phases))
    told |= {"requests": len(record.replies), "statuses": Counter(reply.status for reply in record.replies)}
    told |= {"by_second": by_second(record.replies, length), "replicas": record.replicas}
    written.with_suffix(".json").write_text(json.dumps(told) + "\n", "utf-8")
    draw(record, phases, str(options.config), written.with_suffix(".png"))
    print(f"{len(record.replies)} requests, {record.lost()} without a good answer: {written}.png")


if __name__ == "__main__":
    main()
