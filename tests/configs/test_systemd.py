"""The unit for systemd fits what `make serve` needs."""

import importlib.util
import shlex
from pathlib import Path

from serving.lifecycle.lock import RUNS
from serving.lifecycle.preflight import read_config
from serving.lifecycle.stop import STOP_SECONDS
from serving.settings import PROJECT, Settings

UNIT = (PROJECT / "configs" / "systemd" / "annotator.service").read_text("utf-8")
SETTINGS = dict(line.split("=", 1) for line in UNIT.splitlines() if "=" in line and not line.startswith("#"))
HOME = Path(SETTINGS["WorkingDirectory"])


def test_it_starts_what_make_serve_starts() -> None:
    python, flag, module, config = shlex.split(SETTINGS["ExecStart"])
    assert (python, flag) == (str(HOME / ".venv" / "bin" / "python"), "-m")
    assert importlib.util.find_spec(module) is not None
    assert f"-m {module} " in (PROJECT / "Makefile").read_text("utf-8")
    assert read_config(PROJECT / config).settings.placement == "fused"


def test_the_launcher_has_time_to_end_everything_in_order() -> None:
    assert SETTINGS["KillMode"] == "mixed"
    assert int(SETTINGS["TimeoutStopSec"]) > Settings().deadline_seconds + STOP_SECONDS


def test_what_the_launcher_writes_is_writable() -> None:
    assert SETTINGS["ProtectSystem"] == "strict"
    assert Path(SETTINGS["ReadWritePaths"]) == HOME / RUNS.relative_to(PROJECT)
