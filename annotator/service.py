"""`annotator serve`, `stop`, `status`, `bench`: the service on this machine."""

from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from annotator.errors import ServiceTimedOut, Unavailable
from annotator.exits import Exit, Failure, needs_packages, told_in_one_line
from annotator.options import JsonOption, KeyOption, examples, progress_aside, settings

SERVE_EXAMPLES = examples(
    "annotator serve",
    "annotator serve configs/serve/fused.yaml",
    "annotator serve --model models/lite-my_task --tasks models/lite-my_task.tasks.yaml",
)
STOP_EXAMPLES = examples("annotator stop", "annotator stop --json | jq .ran")
STATUS_EXAMPLES = examples("annotator status", "annotator status --json | jq -r .version")
BENCH_EXAMPLES = examples(
    "annotator bench --rounds 2 --seconds 5", "annotator bench --json | jq '.rounds.fused[0].loads' > fused.json"
)

# A status is asked of a service that is there: one attempt says enough.
STATUS_SECONDS = 10

# About what a placement takes to start, to be examined, to be warmed up and to stop.
BENCH_TURN_SECONDS = 20


def serve(
    config: Annotated[
        Path | None,
        typer.Argument(
            help="Serve's config file.", exists=True, dir_okay=False, show_default="serve_config.yaml, the full split"
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="Model directory instead of the config's.", exists=True, file_okay=False, show_default=False),
    ] = None,
    tasks: Annotated[
        Path | None,
        typer.Option(help="Task file instead of the config's.", exists=True, dir_okay=False, show_default=False),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Where HTTP listens instead of the config's host.", show_default=False)
    ] = None,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="With Ray's dashboard, at localhost:8265.")] = False,
) -> None:
    """Start the service and stay until Ctrl-C, which ends all of it."""
    from serving.lifecycle.launch import main
    from serving.lifecycle.lock import RUNS
    from serving.settings import PROJECT

    path = config or PROJECT / "serve_config.yaml"
    if model or tasks:
        from annotator.serve_config import write_config

        with told_in_one_line():
            RUNS.mkdir(exist_ok=True)
            path = write_config(path, model, tasks, RUNS / "serve_config.yaml")
    raise typer.Exit(main([str(path), *(["--host", host] if host else []), *["--dashboard"] * dashboard]))


def stop(json: JsonOption = False) -> None:
    """End the service, also what a killed run has left."""
    from serving.lifecycle.lock import launcher
    from serving.lifecycle.processes import our_processes
    from serving.lifecycle.stop import main

    # One that is just being started has a launcher and no processes yet.
    ran = launcher() is not None or bool(our_processes())
    with progress_aside(json):
        main()
    if json:
        print(dumps({"ran": ran, "stopped": ran and not our_processes()}))


def status(
    url: Annotated[str, typer.Option(help="Address of the service.")] = "http://localhost:8000",
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Whether a service answers and is ready, and what it serves."""
    from annotator.client import Client, Patience

    with told_in_one_line(), Client(url, key=key, patience=Patience(STATUS_SECONDS, attempts=1)) as client:
        try:
            client.check_ready()
        except (Unavailable, ServiceTimedOut) as error:
            raise Failure(f"the service at {url} is not ready: {error}", Exit.NO_SERVICE) from error
        model, tasks = client.model(), client.tasks()
    told: dict[str, Any] = {
        "url": url,
        "ready": True,
        **model.model_dump(),
        "tasks": {task.name: len(task.labels) for task in tasks},
    }
    if json:
        print(dumps(told))
        return
    print_status(told)


def print_status(told: dict[str, Any]) -> None:
    """Print it for a person."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="cyan")
    table.add_row("service", f"{told['url']}, ready")
    table.add_row("model", f"{told['name']} {told['version']}")
    for i, (name, labels) in enumerate(told["tasks"].items()):
        table.add_row("" if i else "tasks", f"{name} ({labels} labels)")
    Console().print(table)


def bench(
    rounds: Annotated[int, typer.Option(min=1, help="Starts of each placement.")] = 3,
    seconds: Annotated[int, typer.Option(min=1, help="Length of each load.")] = 6,
    out: Annotated[
        Path | None, typer.Option(help="Folder for tables and picture.", file_okay=False, show_default="runs/bench")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Measure the three placements side by side; starts and stops the service, and needs wrk."""
    from math import ceil
    from shutil import which

    from serving.lifecycle.processes import our_processes
    from serving.settings import PROJECT

    if which("wrk") is None:
        raise Failure("bench needs wrk: apt install wrk, or the like, brings it")
    settings()  # a wrong one is told in one line here, and not where the contestants read them
    if our_processes():
        raise Failure("the service of this folder runs: annotator stop ends it")
    with needs_packages():
        from benchmarks.compare import RESULTS, main
        from benchmarks.contestants import OURS
        from benchmarks.load import LOADS
        from benchmarks.running import NotStarted, see_that_none_needs_a_key
    try:
        see_that_none_needs_a_key()
    except NotStarted as error:
        raise Failure(str(error)) from error
    folder = out or PROJECT / "runs" / "bench"
    minutes = ceil(rounds * len(OURS) * (BENCH_TURN_SECONDS + seconds * len(LOADS)) / 60)
    options = ["--rounds", str(rounds), "--seconds", str(seconds), "--out", str(folder)]
    with told_in_one_line():
        with progress_aside(json):
            print(f"about {minutes} minutes; tables and picture go to {folder}", flush=True)
            status = main(["--contestants", *OURS, *options])
        if json:
            print((folder / RESULTS).read_text("utf-8"), end="")
    raise typer.Exit(status)
