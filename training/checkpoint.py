"""What a run needs in order to go on where it was: written whole or not at all."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass
class Checkpoint:
    """The state of a run after `step` steps.

    Attributes:
        recipe: the recipe as plain data; a run goes on only under the recipe that it began with.
        read_models: version of each model directory that the recipe names, by its path; another one is another run.
        step: optimizer steps made, over all epochs.
        model: state dict.
        optimizer: state dict.
        random: state of torch's generator, which dropout draws from.
        standing: what validation has said so far, see `training.schedule.Standing`.
        best_model: state dict of the best weights so far; empty before the first validation.
    """

    recipe: dict[str, Any]
    read_models: dict[str, str]
    step: int
    model: dict[str, Any]
    optimizer: dict[str, Any]
    random: torch.Tensor
    standing: dict[str, Any]
    best_model: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write beside the old file and rename, so that a kill at any moment leaves one whole checkpoint."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        torch.save({name: getattr(self, name) for name in self.__dataclass_fields__}, unfinished)
        os.replace(unfinished, path)

    @staticmethod
    def load(path: Path) -> "Checkpoint":
        """Read a checkpoint; only tensors and plain data are unpickled.

        Raises:
            ValueError: it was written by another version of this program.
        """
        state = torch.load(path, weights_only=True)
        if set(state) != set(Checkpoint.__dataclass_fields__):
            raise ValueError(f"{path} was written by another version of this program")
        return Checkpoint(**state)
