"""A training recipe: every choice of a run, read from one YAML file under configs/training/."""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from graph.model_directory import Pooling
from graph.tokenizer import DEFAULT_MAX_TOKENS, LEAST_MAX_TOKENS

Share = Annotated[float, Field(gt=0, lt=1)]


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
                raise FileNotFoundError(
                    f"package {self.package} with the base encoder is not installed: see README, Train on own data"
                )
            root = Path(spec.origin).parent
        weights = root / self.directory / "model.safetensors"
        if not weights.is_file():
            raise FileNotFoundError(f"no base encoder at {weights}")
        if self.sha256 and hashlib.sha256(weights.read_bytes()).hexdigest() != self.sha256:
            raise ValueError(f"{weights} is not the base encoder of the recipe: its sha256 differs")
        return weights.parent


class Teacher(BaseModel):
    """Model directories whose probabilities, in the mean, are learned besides the labels (Hinton et al. 2015)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[Path, ...] = Field(min_length=1, description="model directories of the same tasks")
    weight: float = Field(default=4.0, gt=0, description="of the distance to the teacher, beside the labels' loss")
    temperature: float = Field(default=2.0, gt=0, description="softens both sides before they are compared")
    own_task_from_label: tuple[str, ...] = Field(
        default=(), description="origins whose rows learn their own task from the label alone, the others as taught"
    )


class Plateau(BaseModel):
    """The original's schedule: the rate is cut when validation stands still, and the run ends when it goes on so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    patience: int = Field(default=2, ge=1, description="validations without a better score before the rate is cut")
    factor: float = Field(default=0.5, gt=0, lt=1, description="what the rate is cut to")
    cuts: int = Field(default=2, ge=0, description="most cuts of a run")
    stop_after: int = Field(default=3, ge=1, description="validations without a better score that end the run")


class Recipe(BaseModel):
    """All settings of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    base: Base
    start: Path | None = Field(
        default=None, description="model directory of the same tasks to begin with, instead of the base and fresh heads"
    )
    mean_with: dict[Path, Share] = Field(
        default={},
        description="model directories of the same tasks and layers, and the share of the weights of each in what is"
        " exported; the run's own have the rest (Wortsman et al. 2022)",
    )
    layers: tuple[int, ...] | None = Field(default=None, description="layers to keep of these; all when not given")
    pooling: Pooling = "mean"
    pooler_gain: float = Field(default=3.0, description="the pooler's weight starts as so many times the identity")
    freeze_embeddings: bool = Field(default=False, description="leave the base's token vectors as they are")
    dropout: float | None = Field(default=None, ge=0, lt=1, description="in the encoder; the base's own if not given")
    max_tokens: int = Field(default=DEFAULT_MAX_TOKENS, ge=LEAST_MAX_TOKENS)

    lines: Path | None = Field(default=None, description="folder of own lines, <task>.tsv, read beside the train split")
    rows_per_task: int = Field(ge=1, description="rows drawn a task and an epoch")
    rows: dict[str, int] = Field(default={}, description="the same for single tasks")
    class_balance: float = Field(
        default=0.5, ge=0, le=1, description="a class of n rows is drawn by weight n ** (1 - this); 1 balances fully"
    )
    repeat: dict[str, int] = Field(default={}, description="origins all of whose rows come so many times an epoch")
    leave_out: tuple[str, ...] = Field(default=(), description="origins that are not trained on")
    plain_share: float = Field(default=0.5, ge=0, le=1, description="share of rows lower-cased without punctuation")
    noise_share: float = Field(default=0.0, ge=0, le=1, description="share of rows with speech recognition's errors")

    epochs: int = Field(ge=1)
    batch_size: int = Field(default=32, ge=1)
    encoder_rate: float = Field(description="highest learning rate of the encoder")
    head_rate: float = Field(description="highest learning rate of pooler and heads")
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    warmup_steps: int = 200
    plateau: Plateau | None = Field(default=None, description="without it the rate falls linearly to zero")
    label_smoothing: float = 0.05
    task_weights: dict[str, float] = Field(default={}, description="weight of a task's rows in the loss; else 1")
    class_weights: float = Field(
        default=0.0, ge=0, le=1, description="a class of n rows weighs n ** -this in the loss, 1 on average"
    )
    teacher: Teacher | None = Field(default=None, description="distillation; without it only labels are learned")
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    seed: int = 1
    threads: int = Field(default=2, ge=1)
    valid_rows: int = Field(default=1000, description="rows a task for choosing the best weights")
    validate_every: int | None = Field(default=None, ge=1, description="steps between validations; else every epoch")
    checkpoint_every: int = Field(default=500, ge=1, description="steps")

    @model_validator(mode="after")
    def _repeats_exist(self) -> "Recipe":
        if set(self.repeat) & set(self.leave_out):
            raise ValueError("an origin is both repeated and left out")
        return self

    @model_validator(mode="after")
    def _a_share_is_left(self) -> "Recipe":
        if sum(self.mean_with.values()) >= 1:
            raise ValueError("the shares of mean_with leave nothing for the run itself")
        return self

    @property
    def read_models(self) -> list[Path]:
        """Every model directory that the run reads."""
        taught = [] if self.teacher is None else self.teacher.models
        return [*([] if self.start is None else [self.start]), *taught, *self.mean_with]


def load_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe; a setting that does not exist is an error.

    Args:
        path: YAML file.
        changes: `setting=value`, the value in YAML, laid over the file's for a try.

    Raises:
        ValueError: a setting does not exist or has no such value, or a change is none.
    """
    settings: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    for change in changes:
        setting, equals, value = change.partition("=")
        if not equals:
            raise ValueError(f"{change}: a change is written setting=value")
        settings[setting] = yaml.safe_load(value)
    return Recipe.model_validate(settings)
