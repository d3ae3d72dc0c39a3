"""How cost grows: utterances a request, tokens an utterance, tasks, replicas of the encoder.

    python -m benchmarks.growth [--of utterances tokens] [--seconds 3] [--out docs/benchmarks]

The service is started as a user does it: the placement fused but for the replicas, which packed has. Needs `wrk`; load
goes to 127.0.0.1 only. Written are growth.json, growth.md and growth.png. Without --out they go to runs/benchmarks.
"""

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import yaml
from matplotlib.figure import Figure

from benchmarks import machine
from benchmarks.contestants import CONTESTANTS, CORES, Contestant
from benchmarks.dialects import ORIGINAL
from benchmarks.load import Load, Served, put_load, utterances, write_bodies
from benchmarks.running import Running, exits_unless_started, running
from benchmarks.synthetic import text_of, write_synthetic_tasks
from benchmarks.tables import table
from graph.model_directory import ModelDirectory
from serving.settings import ENVIRONMENT_PREFIX, PROJECT, Settings

mpl.use("Agg")

OUT = PROJECT / "runs" / "benchmarks"
FUSED, PACKED = CONTESTANTS["fused"], CONTESTANTS["packed"]
WARM_UP = Load(32, 1)
WARM_UP_S = 2


@dataclass(frozen=True)
class Step:
    """One measured size.

    Attributes:
        size: of what grows.
        served: what the clients saw.
        memory_mb: PSS of all processes afterwards.
    """

    size: int
    served: Served
    memory_mb: float


def by_utterances(seconds: float) -> Iterator[Step]:
    """1 connection, so many utterances a request."""
    with running(FUSED) as service:
        warm_up(service)
        for size in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512):
            yield step(service, size, Load(1, size), seconds, utterances())


def by_tokens(seconds: float) -> Iterator[Step]:
    """1 connection of 32 utterances, each of so many tokens."""
    sizes = (4, 8, 16, 32, 64, 128)
    with running(varied(FUSED, max_tokens=str(max(sizes)))) as service:
        warm_up(service)
        for size in sizes:
            yield step(service, size, Load(1, 32), seconds, [text_of(size)])


def by_tasks(seconds: float) -> Iterator[Step]:
    """4 connections of 32 utterances, so many tasks of 10 labels."""
    model = ModelDirectory.open(Settings().model_path, Settings().tasks_path)
    for size in (1, 2, 5, 10, 20, 50):
        # Within the project, for relative paths start there, and kept: the model is read again by every replica.
        out = OUT / "synthetic"
        tasks = write_synthetic_tasks(model, size, out)
        with running(varied(FUSED, model=str(out), tasks=str(tasks))) as service:
            warm_up(service)
            yield step(service, size, Load(4, 32), seconds, utterances())


def by_replicas(seconds: float) -> Iterator[Step]:
    """128 connections, so many replicas of encoder and heads."""
    for size in range(1, CORES + 2):
        config = write_replicas(size, OUT / "replicas.yaml")
        with running(dataclasses.replace(PACKED, command=("make", "serve", f"CONFIG={config}"))) as service:
            warm_up(service)
            yield step(service, size, Load(128, 1), seconds, utterances())


GROWTHS: dict[str, Callable[[float], Iterator[Step]]] = {
    "utterances": by_utterances,
    "tokens": by_tokens,
    "tasks": by_tasks,
    "replicas": by_replicas,
}


def varied(contestant: Contestant, **settings: str) -> Contestant:
    """With other settings of the service."""
    variables = {f"{ENVIRONMENT_PREFIX}{name}".upper(): value for name, value in settings.items()}
    return dataclasses.replace(contestant, variables=variables)


def write_replicas(count: int, path: Path) -> Path:
    """The packed config with so many replicas of encoder and heads, neither more nor fewer."""
    config = yaml.safe_load((PROJECT / "configs" / "serve" / "packed.yaml").read_text("utf-8"))
    (deployment,) = (one for one in config["applications"][0]["deployments"] if one["name"] == "EncoderAndHeads")
    del deployment["autoscaling_config"]
    deployment["num_replicas"] = count
    # A reservation only: what they use is to be seen, not whether they fit.
    deployment["ray_actor_options"] = {"num_cpus": 0.1}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    return path


def warm_up(service: Running) -> None:
    """A load that is not counted."""
    put(service, WARM_UP, WARM_UP_S, utterances())


def step(service: Running, size: int, load: Load, seconds: float, texts: Sequence[str]) -> Step:
    """One load, and the memory afterwards."""
    served = put(service, load, seconds, texts)
    return Step(size, served, sum(used.memory_mb for used in service.usage().values()))


def put(service: Running, load: Load, seconds: float, texts: Sequence[str]) -> Served:
    """One load of these texts, again and again."""
    enough = [*texts] * (1 + load.utterances // len(texts)) if len(texts) < load.utterances else texts
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as bodies:
        write_bodies(Path(bodies.name), enough, load.utterances, ORIGINAL.body)
        return put_load(service.contestant.url, Path(bodies.name), load, seconds)


def tables(measured: dict[str, list[Step]], about: str) -> str:
    """A table a growth."""
    parts = [about]
    for name, steps in measured.items():
        rows = [
            [
                f"{one.size:,}",
                f"{one.served.p50_ms:,.1f}",
                f"{one.served.p99_ms:,.1f}",
                f"{one.served.requests_s:,.1f}",
                f"{one.served.utterances_s:,.0f}",
                f"{one.memory_mb:,.0f}",
                str(one.served.errors),
            ]
            for one in steps
        ]
        header = [name, "p50, ms", "p99, ms", "requests/s", "utterances/s", "memory, PSS, MB", "errors"]
        parts.append(f"### {name.capitalize()}: {GROWTHS[name].__doc__}\n\n{table(header, rows)}")
    return "\n\n".join(parts) + "\n"


def draw(measured: dict[str, list[Step]], path: Path) -> None:
    """Latency and throughput over the size, a panel a growth."""
    picture = Figure(figsize=(11, 3.4 * ((len(measured) + 1) // 2)), layout="constrained")
    for place, (name, steps) in enumerate(measured.items(), 1):
        left = picture.add_subplot((len(measured) + 1) // 2, 2, place)
        right = left.twinx()
        sizes = [one.size for one in steps]
        left.plot(sizes, [one.served.p50_ms for one in steps], "o-", color="#1668b8", label="p50, ms")
        right.plot(sizes, [one.served.utterances_s for one in steps], "s--", color="#9aa5b1", label="utterances/s")
        left.set_ylim(bottom=0)
        right.set_ylim(bottom=0)
        if name != "replicas":
            left.set_xscale("log", base=2)
        left.set_xticks(sizes, [str(size) for size in sizes])
        left.set_title((GROWTHS[name].__doc__ or "").rstrip("."), fontsize=9)
        left.set_xlabel(name)
        left.legend(handles=[*left.lines, *right.lines], fontsize=8, loc="upper center")
    picture.savefig(path, dpi=110)


@exits_unless_started()
def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write what came of it."""
    parser = argparse.ArgumentParser(description="How cost grows.")
    parser.add_argument("--of", nargs="+", choices=list(GROWTHS), default=list(GROWTHS), help="what grows (all)")
    parser.add_argument("--seconds", type=float, default=3, help="length of each load (%(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for what is written (%(default)s)")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    found = machine.about()
    about = (
        f"{found['date']}, {found['cores']} cores of {found['processor']}, revision {found['revision']}. "
        f"One start each, {options.seconds:g} s a size, wrk on the same cores."
    )
    measured: dict[str, list[Step]] = {}
    for name in options.of:
        measured[name] = []
        for one in GROWTHS[name](options.seconds):
            measured[name].append(one)
            print(name, one.size, one.served, flush=True)
        plain = {each: [dataclasses.asdict(one) for one in steps] for each, steps in measured.items()}
        text = json.dumps({"about": found, "measured": plain}, indent=1)
        (options.out / "growth.json").write_text(text + "\n", "utf-8")
    (options.out / "growth.md").write_text(tables(measured, about), "utf-8")
    draw(measured, options.out / "growth.png")


if __name__ == "__main__":
    main()
