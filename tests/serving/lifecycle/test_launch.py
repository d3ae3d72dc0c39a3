import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from serving.lifecycle import launch, preflight
from serving.lifecycle.preflight import StartError, check_memory, check_ports, read_config
from serving.settings import PROJECT
from tests.haproxy import Quiet, backend

CONFIG = PROJECT / "serve_config.yaml"


@pytest.fixture
def config_with(tmp_path: Path) -> Callable[..., Path]:
    """Writes the real config with other arguments of the application."""

    def write(**arguments: object) -> Path:
        config = yaml.safe_load(CONFIG.read_text("utf-8"))
        config["applications"][0]["args"].update(arguments)
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(config), "utf-8")
        return path

    return write


def cannot_start(capsys: pytest.CaptureFixture[str], config: Path) -> str:
    """The one line that the launcher says when it refuses."""
    assert launch.main([str(config)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_the_real_config_can_start() -> None:
    plan = read_config(CONFIG)
    assert (plan.host, plan.port, plan.replicas) == ("127.0.0.1", 8000, 12)


def test_a_missing_config_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "nothing.yaml" in cannot_start(capsys, tmp_path / "nothing.yaml")


def test_a_deadline_behind_which_serve_would_give_up_first_is_refused(
    capsys: pytest.CaptureFixture[str], config_with: Callable[..., Path]
) -> None:
    said = cannot_start(capsys, config_with(deadline_seconds=55))
    assert "body_seconds and deadline_seconds are 65 s together" in said
    assert "request_timeout_s (60)" in said


@pytest.mark.parametrize("text", ["", "[1]", "a: {", "applications: []"])
def test_what_is_no_config_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, "utf-8")
    assert "not a Serve config" in cannot_start(capsys, path)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"model": "models/none"}, "models/none"),
        ({"runtime": "tensorflow"}, "runtime"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"modell": "models/lite"}, "modell"),
        ({"tasks": "configs/none.yaml"}, "none.yaml"),
    ],
)
def test_a_wrong_setting_is_named(
    capsys: pytest.CaptureFixture[str],
    config_with: Callable[..., Path],
    arguments: dict[str, object],
    named: str,
) -> None:
    assert named in cannot_start(capsys, config_with(**arguments))


def test_an_altered_model_is_refused(
    capsys: pytest.CaptureFixture[str], config_with: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    altered = shutil.copytree(tiny_model, tmp_path / "model")
    with (altered / "encoder.safetensors").open("r+b") as stream:
        stream.truncate(1000)
    assert "encoder.safetensors" in cannot_start(capsys, config_with(model=str(altered)))


def test_a_taken_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=f"port {port} is taken"):
            check_ports(port)


def test_a_variable_that_moves_a_port_holds_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_HAPROXY_STATS_PORT", "http")
    with pytest.raises(StartError, match="RAY_SERVE_HAPROXY_STATS_PORT in the environment is no port: http"):
        check_ports(8000)


def test_ready_means_several_good_answers_in_a_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    class Unsteady(Quiet):
        """As while one front end takes the place of another."""

        def reply(self) -> None:
            asked.append(self.path)
            self.answer(404 if len(asked) in (1, 3, 4) else 200, b"")

    with backend(Unsteady) as port, subprocess.Popen(["sleep", "0.1"]) as child:
        launch.wait_until_ready(child, replace(read_config(CONFIG), port=port))
        assert child.returncode == 0
        assert asked == ["/ready"] * (4 + launch.ANSWERS_IN_A_ROW)
    with backend(Quiet) as port, subprocess.Popen(["false"]) as child:
        child.wait()
        log = tmp_path / "service.log"
        log.write_text("Traceback\nServe says: it broke\n\n", "utf-8")
        monkeypatch.setattr(launch, "LOG", log)
        with pytest.raises(StartError, match=r"^Serve says: it broke; see .*service\.log$"):
            launch.wait_until_ready(child, replace(read_config(CONFIG), port=port))


def test_too_little_memory_is_said_with_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = read_config(CONFIG)
    monkeypatch.setattr(preflight, "available_mb", lambda: 1929)
    with pytest.raises(StartError, match=r"too little memory: 1,929 MB .* 12 replicas need about 1,930 MB"):
        check_memory(plan)
    monkeypatch.setattr(preflight, "available_mb", lambda: 1930)
    check_memory(plan)


def test_the_memory_of_a_container_counts_if_it_is_less(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9000000 kB\nMemAvailable: 4000000 kB\n")
    assert preflight.available_mb(meminfo, tmp_path / "none") == 4000
    (tmp_path / "memory.current").write_text("100000000\n")
    for limit, available in (("max", 4000), ("1100000000", 1000), ("9000000000", 4000)):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        assert preflight.available_mb(meminfo, tmp_path) == available


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("ANNOTATOR_BODY_BYTES", "0", "ANNOTATOR_BODY_BYTES in the environment"),
        ("ANNOTATOR_BODY_BYTE", "10", "ANNOTATOR_BODY_BYTE in the environment: there is no such setting"),
        ("ANNOTATOR_API_KEYS", "short", "api_keys"),
        ("ANNOTATOR_API_KEYS_FILE", "/nowhere/keys", "/nowhere/keys"),
    ],
)
def test_a_wrong_variable_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variable: str, value: str, named: str
) -> None:
    monkeypatch.setenv(variable, value)
    said = cannot_start(capsys, CONFIG)
    assert named in said
    assert variable != "ANNOTATOR_API_KEYS" or value not in said


def test_ray_gets_a_folder_of_this_user_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(launch, "RUNS", tmp_path)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "ours"))
    assert launch.ray_folder() == str(tmp_path / "ours")
    assert (tmp_path / "ray").readlink() == tmp_path / "ours" / "ray"
    (tmp_path / "file").touch()
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "file" / "ours"))
    with pytest.raises(StartError, match=r"ours cannot be made \(Not a directory\); set RAY_TMPDIR"):
        launch.ray_folder()
    monkeypatch.delenv("RAY_TMPDIR")
    somebody = os.getuid() + 4242
    monkeypatch.setattr(os, "getuid", lambda: somebody)
    try:
        with pytest.raises(StartError, match=r"is another user's; set RAY_TMPDIR"):
            launch.ray_folder()
    finally:
        Path(f"/tmp/annotator-{somebody}").rmdir()
