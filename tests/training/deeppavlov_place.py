"""A DeepPavlov checkpoint that a test may spoil, and what must come of its import."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from tests import TASKS_FILE
from tests.tiny import Architecture
from training.import_deeppavlov import main

GOLDEN = Path(__file__).parent / "golden"
HEAD = "bert.final_classifier"


@dataclass(frozen=True)
class Place:
    """Copies of one golden folder's files that a test may spoil, and where the import goes."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        return self.path / "model.pth.tar"

    @property
    def backbone(self) -> Path:
        return self.path / "backbone"

    @property
    def tasks_file(self) -> Path:
        return self.path / "tasks.yaml"

    @property
    def out(self) -> Path:
        return self.path / "models" / "imported"

    @staticmethod
    def make(path: Path, architecture: Architecture) -> "Place":
        shutil.copytree(GOLDEN / architecture, path, dirs_exist_ok=True)
        shutil.copyfile(TASKS_FILE, path / "tasks.yaml")
        return Place(path)

    def run(self) -> None:
        named = {"--backbone": self.backbone, "--tasks": self.tasks_file, "--out": self.out}
        main([str(self.checkpoint), *(str(part) for pair in named.items() for part in pair)])

    def assert_refused(self, *says: str) -> None:
        """The import ends with one line and status 1, and leaves no trace."""
        before = {*self.path.rglob("*"), self.out.parent}
        with pytest.raises(SystemExit) as caught:
            self.run()
        message = caught.value.code
        assert isinstance(message, str), "printed to standard error, and the exit status is 1"
        assert message.startswith("cannot import: ")
        assert "\n" not in message
        for part in says:
            assert part in message
        assert {*self.path.rglob("*"), self.out.parent} == before

    def edit_checkpoint(self, edit: Callable[[dict[str, Any]], object]) -> None:
        content = torch.load(self.checkpoint, weights_only=True)
        edit(content)
        torch.save(content, self.checkpoint)

    def edit_weights(self, edit: Callable[[dict[str, Tensor]], object]) -> None:
        self.edit_checkpoint(lambda content: edit(content["model_state_dict"]))

    def edit_config(self, **settings: Any) -> None:
        path = self.backbone / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | settings), "utf-8")

    def edit_tasks(self, edit: Callable[[list[dict[str, Any]]], object]) -> None:
        tasks = yaml.safe_load(self.tasks_file.read_text("utf-8"))
        edit(tasks["tasks"])
        self.tasks_file.write_text(yaml.safe_dump(tasks), "utf-8")
