"""Every replica replaced while requests come, and what is refused before any is touched."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.settings import PROJECT
from tests.e2e.contract import TASKS, chat_lines
from tests.e2e.processes import replicas
from tests.faults.conftest import Count, Figure, running
from tests.faults.load import post, put_load_while

REQUESTS = [post([line]) for line in chat_lines()]
CONNECTIONS = 8
DEPLOYMENTS = {"Ingress", "Tokenizer", "Encoder", *(f"Head_{task.name}" for task in TASKS)}
BROKEN: list[dict[str, Any]] = [{"model": "models/none"}, {"runtime": "none"}, {"no_such_argument": 1}]


@dataclass(frozen=True)
class Config:
    """One of the configs that are shipped, as it is or with so many replicas of each deployment, wherever they fit."""

    source: str
    replicas: int | None
    folder: Path

    def write(self, arguments: dict[str, Any]) -> Path:
        """The file, with arguments besides its own."""
        config = yaml.safe_load((PROJECT / self.source).read_text("utf-8"))
        (application,) = config["applications"]
        application["args"] |= arguments
        for deployment in application["deployments"] if self.replicas else ():
            del deployment["autoscaling_config"]
            deployment |= {"num_replicas": self.replicas, "ray_actor_options": {"num_cpus": 0.02}}
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(config), "utf-8")
        return path


def update(config: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serving.lifecycle.update", str(config)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=700)


def update_under_load(path: Path, wrong_answers: Count) -> tuple[subprocess.CompletedProcess[str], str]:
    """Update while requests come, none of which may fail; what became of it, and what was measured."""
    began = time.monotonic()
    done, record = asyncio.run(put_load_while(partial(update, path), REQUESTS, CONNECTIONS))
    seconds = time.monotonic() - began
    assert set(record.statuses()) == {200}
    assert wrong_answers(record) == 0
    slowest = record.seconds(200)[-1]
    return done, f"{seconds:.0f} s, {len(record.replies)} requests, 0 failed, 0 wrong, the slowest {slowest:.1f} s"


@pytest.mark.long_faults
def test_every_deployment_is_updated_under_load(tmp_path: Path, figure: Figure, wrong_answers: Count) -> None:
    config = Config("serve_config.yaml", 2, tmp_path)
    with running(config.write({})):
        before = replicas()
        assert Counter(before.values()) == dict.fromkeys(DEPLOYMENTS, 2)
        for broken in BROKEN:
            refused, _ = update_under_load(config.write(broken), wrong_answers)
            assert refused.returncode == 1
            assert refused.stderr.startswith("not updated: "), refused.stderr
            assert replicas() == before

        done, measured = update_under_load(config.write({"encoder_batch_tokens": 2048}), wrong_answers)
        # Before it Ray may warn that so many replicas are many for a machine.
        assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["updated"]), done.stderr
        after = replicas()
    assert Counter(after.values()) == Counter(before.values())
    assert not set(after) & set(before)
    figure("update under load", f"{len(before)} replicas of {len(DEPLOYMENTS)} deployments replaced: {measured}")


def test_the_fused_config_as_it_is_is_updated_without_a_gap(
    tmp_path: Path, figure: Figure, wrong_answers: Count
) -> None:
    config = Config("configs/serve/fused.yaml", None, tmp_path)
    with running(config.write({})):
        before = replicas()
        done, measured = update_under_load(config.write({"batch_utterances": 32}), wrong_answers)
        assert (done.returncode, done.stdout) == (0, "updated\n"), done.stderr
        after = replicas()
    assert len(before) == len(after)
    assert not set(after) & set(before)
    figure("update of fused under load", measured)
