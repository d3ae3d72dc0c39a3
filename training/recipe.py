"""A training recipe: every choice of a run, read from one YAML file under configs/training/."""

import hashlib
import importlib.util
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from graph.model_directory import Pooling
from graph.tokenizer import DEFAULT_MAX_TOKENS, LEAST_MAX_TOKENS


class Base(BaseModel):
    """The encoder that training starts from: a Hugging Face directory, by path or inside an installed package."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    directory: Path = Field(description="path; relative to the package, where one is named")
    package: str | None = Field(default=None, description="import name of the package that carries the directory")
    licence: str = Field(description="SPDX name, for the manifest")
    sha256: str | None = Field(default=None, description="of model.safetensors; checked when given")

    def locate(self) -> Path:
        """The directory on this machine.

        Raises:
            FileNotFoundError: the package is not installed or the weights are not there.
            ValueError: the weights are not those of `sha256`.
        """
        root = Path()
        if self.package:
            spec = importlib.util.find_spec(self.package)
            if spec is None or spec.origin is None:
                raise FileNotFoundError(f"package {self.package} with the base encoder is not installed")
            root = Path(spec.origin).parent
        weights = root / self.directory / "model.safetensors"
        if not weights.is_file():
            raise FileNotFoundError(f"no base encoder at {weights}")
        if self.sha256 and hashlib.sha256(weights.read_bytes()).hexdigest() != self.sha256:
            raise ValueError(f"{weights} is not the base encoder of the recipe: its sha256 differs")
        return weights.parent


class Recipe(BaseModel):
    """All settings of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    base: Base
    layers: tuple[int, ...] | None = Field(default=None, description="layers of the base to keep; all when not given")
    pooling: Pooling = "mean"
    pooler_gain: float = Field(default=3.0, description="the pooler's weight starts as so many times the identity")
    max_tokens: int = Field(default=DEFAULT_MAX_TOKENS, ge=LEAST_MAX_TOKENS)

    rows_per_task: int = Field(description="rows drawn a task and an epoch, classes balanced by the root of their size")
    repeat: dict[str, int] = Field(default={}, description="origins all of whose rows come so many times an epoch")
    leave_out: tuple[str, ...] = Field(default=(), description="origins that are not trained on")
    plain_share: float = Field(default=0.5, ge=0, le=1, description="share of rows lower-cased without punctuation")

    epochs: int = Field(ge=1)
    batch_size: int = 32
    encoder_rate: float = Field(description="highest learning rate of the encoder")
    head_rate: float = Field(description="highest learning rate of pooler and heads")
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    warmup_steps: int = 200
    label_smoothing: float = 0.05
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    seed: int = 1
    threads: int = 2
    valid_rows: int = Field(default=1000, description="rows a task for choosing the best epoch")
    checkpoint_every: int = Field(default=500, description="steps")

    @model_validator(mode="after")
    def _repeats_exist(self) -> "Recipe":
        if set(self.repeat) & set(self.leave_out):
            raise ValueError("an origin is both repeated and left out")
        return self


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; a setting that does not exist is an error."""
    return Recipe.model_validate(yaml.safe_load(path.read_text("utf-8")))
