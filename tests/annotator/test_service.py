"""`annotator serve`, `stop`, `status` and `bench`, as far as no service is needed; the rest is in tests/e2e."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from annotator.cli import app
from annotator.serve_config import write_config
from graph.errors import TasksError
from serving.lifecycle.preflight import CLIENT_VARIABLE, read_config
from serving.settings import PROJECT
from tests import TASKS_FILE
from tests.annotator.conftest import VERSION, Run, Stub
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
    stub.failures = [(503, "unavailable", "the encoder does not answer")]
    ended = run("status", "--url", stub.url)
    assert (ended.status, ended.out) == (3, "")
    assert ended.err == f"annotator: the service at {stub.url} is not ready: the encoder does not answer\n"
    ended = run("status", "--url", "http://127.0.0.1:9")
    assert (ended.status, ended.err.count("\n")) == (3, 1)
    assert "no service answers at http://127.0.0.1:9" in ended.err


def test_serve_says_what_is_wrong_in_one_line(run: Run, tmp_path: Path) -> None:
    mistakes: list[tuple[list[object], str]] = [
        ([tmp_path / "none.yaml"], "none.yaml: No such file"),
        (["--model", tmp_path / "none"], f"no model directory at {tmp_path / 'none'}"),
        (["--tasks", tmp_path / "none.yaml"], "cannot read the task file"),
        ([TASKS_FILE, "--model", tmp_path], "is not a Serve config"),
    ]
    for arguments, said in mistakes:
        ended = run("serve", *arguments)
        assert ended.status in (1, 2)
        assert ended.err.count("\n") == 1
        assert said in ended.err


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
