"""`annotator serve`, `stop`, `status` and `bench`, as far as no service is needed; the rest is in tests/e2e."""

import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from annotator.cli import app
from annotator.serve_config import write_config
from benchmarks import compare
from benchmarks.contestants import Contestant
from benchmarks.results import Round
from benchmarks.running import NotStarted
from graph.errors import TasksError
from serving.lifecycle import launch, lock, processes, stop
from serving.lifecycle.front_end import HOST_VARIABLE
from serving.lifecycle.preflight import CLIENT_VARIABLE, Plan, read_config
from serving.settings import PROJECT
from tests import TASKS_FILE
from tests.annotator.conftest import VERSION, Run, Stub
from tests.benchmarks.results import one_round
from tests.tiny import TASKS, write_tasks


def test_status_of_a_service_that_is_ready(run: Run, stub: Stub) -> None:
    ended = run("status", "--url", stub.url, "--json")
    assert ended.status == 0
    told = json.loads(ended.out)
    assert (told["url"], told["ready"], told["name"], told["version"]) == (stub.url, True, "annotator", VERSION)
    assert len(told["tasks"]) == 9
    shown = run("status", "--url", stub.url)
    assert f"annotator {VERSION}" in shown.out
    assert all(f"{task} ({labels} labels)" in shown.out for task, labels in told["tasks"].items())


def test_status_of_a_service_that_is_not(run: Run, stub: Stub) -> None:
    for status, kind in [(503, "unavailable"), (504, "deadline_exceeded"), (504, "unavailable"), (502, "unavailable")]:
        stub.failures = [(status, kind, "the encoder does not answer")]
        ended = run("status", "--url", stub.url)
        assert (ended.status, ended.out) == (3, "")
        assert ended.err == f"annotator: the service at {stub.url} is not ready: the encoder does not answer\n"
    ended = run("status", "--url", "http://127.0.0.1:9")
    assert (ended.status, ended.err.count("\n")) == (3, 1)
    assert "no service answers at http://127.0.0.1:9" in ended.err


def test_serve_says_what_is_wrong_in_one_line(run: Run, tmp_path: Path) -> None:
    names = tmp_path / "names.yaml"
    names.write_text("applications: [annotator]\n", "utf-8")
    mistakes: list[tuple[list[object], int, str]] = [
        ([tmp_path / "none.yaml"], 2, f"file '{tmp_path}/none.yaml' does not exist"),
        (["--model", tmp_path / "none"], 2, f"dir '{tmp_path}/none' does not exist"),
        (["--tasks", tmp_path / "none.yaml"], 2, f"file '{tmp_path}/none.yaml' does not exist"),
        ([TASKS_FILE, "--model", tmp_path], 1, "is not a Serve config"),
        ([names], 1, "names.yaml is not a Serve config"),
        ([names, "--model", tmp_path], 1, "names.yaml is not a Serve config"),
    ]
    for arguments, status, said in mistakes:
        ended = run("serve", *arguments)
        assert (ended.status, ended.err.count("\n")) == (status, 1), (arguments, ended)
        assert said in ended.err


@pytest.mark.parametrize(
    ("options", "started"),
    [([], ("127.0.0.1", False)), (["--host", "0.0.0.0"], ("0.0.0.0", False)), (["--dashboard"], ("127.0.0.1", True))],
)
def test_the_host_and_the_dashboard_are_the_launchers(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: list[str], started: tuple[str, bool]
) -> None:
    asked: list[tuple[str, bool]] = []

    def serve(config: Path, plan: Plan, dashboard: bool) -> int:
        asked.append((plan.host, dashboard))
        return 0

    monkeypatch.delenv(HOST_VARIABLE, raising=False)
    monkeypatch.setattr(launch, "serve", serve)
    monkeypatch.setattr(launch, "RUNS", tmp_path)
    monkeypatch.setattr(launch, "LOCK", tmp_path / "lock")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        assert run("serve", *options).status == 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert asked == [started]


def test_a_variable_of_the_command_line_keeps_no_service_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: Any = get_command(app)
    variables = {p.envvar for command in commands.commands.values() for p in command.params if p.envvar}
    assert variables == {CLIENT_VARIABLE}
    monkeypatch.setenv(CLIENT_VARIABLE, "a key of a service elsewhere")
    read_config(PROJECT / "serve_config.yaml")


def test_bench_says_what_it_needs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    ended = run("bench")
    assert (ended.status, ended.err.count("\n")) == (1, 1)
    assert "bench needs wrk" in ended.err


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that has wrk, and where no service of this folder runs."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(processes, "our_processes", list)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("ANNOTATOR_API_KEYS", "0123456789abcdef", "bench asks without a key"),
        ("ANNOTATOR_API_KEYS_FILE", "keys.txt", "bench asks without a key"),
        ("ANNOTATOR_MAX_TOKENS", "x", "ANNOTATOR_MAX_TOKENS in the environment: Input should be a valid integer"),
    ],
)
def test_bench_refuses_an_environment_that_it_cannot_measure_in(
    run: Run, monkeypatch: pytest.MonkeyPatch, alone: None, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    ended = run("bench")
    assert (ended.status, ended.err.count("\n"), ended.out) == (1, 1, "")
    assert said in ended.err


def test_bench_without_its_packages_says_how_they_come(run: Run, monkeypatch: pytest.MonkeyPatch, alone: None) -> None:
    for name in [name for name in sys.modules if name.startswith("benchmarks")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    ended = run("bench")
    assert (ended.status, ended.err.count("\n")) == (1, 1)
    assert "make .venv/all.installed" in ended.err


def test_bench_says_where_it_writes_and_for_how_long(
    run: Run, monkeypatch: pytest.MonkeyPatch, alone: None, tmp_path: Path
) -> None:
    monkeypatch.setattr(compare, "measure", lambda *_: one_round(100))
    ended = run("bench", "--rounds", 2, "--seconds", 8, "--out", tmp_path / "bench")
    assert ended.status == 0, ended.err
    assert ended.out.startswith(f"about 6 minutes; tables and picture go to {tmp_path}/bench\n")
    assert {path.name for path in (tmp_path / "bench").iterdir()} == {"compare.json", "compare.md", "compare.png"}
    assert "| memory, PSS of all processes | fused |" in ended.out
    assert "not measured" not in ended.out


def test_the_figures_of_bench_are_one_document_for_programs(
    run: Run, monkeypatch: pytest.MonkeyPatch, alone: None, tmp_path: Path
) -> None:
    def measure(contestant: Contestant, *_: object) -> Round:
        if contestant.name == "packed":
            raise NotStarted("packed ended with status 1")
        return one_round(100)

    monkeypatch.setattr(compare, "measure", measure)
    ended = run("bench", "--rounds", 2, "--out", tmp_path, "--json")
    assert ended.status == 1
    told = json.loads(ended.out)
    assert {name: len(rounds) for name, rounds in told["rounds"].items()} == {"split": 2, "fused": 2}
    assert told["rounds"]["fused"][0]["loads"]["32x1"]["served"]["requests_s"] == 100
    assert told["about"]["failed"] == {"packed": "packed ended with status 1"}
    assert ended.err.startswith("about ")
    assert "fused, requests/s: " in ended.err


@pytest.mark.parametrize(
    ("launcher", "before", "after", "told"),
    [
        (7, [7, 8], [], {"ran": True, "stopped": True}),
        (7, [], [], {"ran": True, "stopped": True}),  # it is just being started
        (None, [8], [], {"ran": True, "stopped": True}),  # left by a killed run
        (None, [8], [8], {"ran": True, "stopped": False}),
        (None, [], [], {"ran": False, "stopped": False}),
    ],
)
def test_stop_says_to_programs_whether_something_ran_and_is_stopped(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    launcher: int | None,
    before: list[int],
    after: list[int],
    told: dict[str, bool],
) -> None:
    running = [before]

    def end() -> None:
        print("what is for people")
        running[0] = after

    monkeypatch.setattr(lock, "launcher", lambda: launcher)
    monkeypatch.setattr(processes, "our_processes", lambda: running[0])
    monkeypatch.setattr(stop, "main", end)
    ended = run("stop", "--json")
    assert (ended.status, json.loads(ended.out), ended.err) == (0, told, "what is for people\n")
    assert run("stop").out == "what is for people\n"


@pytest.mark.parametrize("name", ["serve_config.yaml", "configs/serve/packed.yaml", "configs/serve/fused.yaml"])
def test_a_config_for_other_tasks_has_a_head_for_each_of_them(tmp_path: Path, tiny_model: Path, name: str) -> None:
    base = PROJECT / name
    tasks_file = tmp_path / "tasks.yaml"
    write_tasks(tasks_file)
    out = write_config(base, tiny_model, tasks_file, tmp_path / "config.yaml")
    before, after = (yaml.safe_load(path.read_text("utf-8"))["applications"][0] for path in (base, out))
    assert after["args"] == before["args"] | {"model": str(tiny_model), "tasks": str(tasks_file)}
    heads = [entry for entry in after["deployments"] if entry["name"].startswith("Head_")]
    others = [entry for entry in after["deployments"] if entry not in heads]
    assert others == [entry for entry in before["deployments"] if not entry["name"].startswith("Head_")]
    assert [entry["name"] for entry in heads] == [f"Head_{task.name}" for task in TASKS if name == "serve_config.yaml"]
    assert {entry["max_queued_requests"] for entry in heads} <= {32}


def test_a_config_with_another_model_alone_is_the_same_otherwise(tmp_path: Path, tiny_model: Path) -> None:
    base = PROJECT / "serve_config.yaml"
    out = write_config(base, tiny_model, None, tmp_path / "config.yaml")
    before, after = (yaml.safe_load(path.read_text("utf-8")) for path in (base, out))
    after["applications"][0]["args"]["model"] = before["applications"][0]["args"]["model"]
    assert after == before
    assert read_config(out).port == 8000


def test_a_task_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TasksError):
        write_config(PROJECT / "serve_config.yaml", None, tmp_path / "none.yaml", tmp_path / "config.yaml")
