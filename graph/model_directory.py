"""A model directory: the files that make a model, and the manifest that vouches for them.

    manifest.json       what is in here, sha256 of every file, labels, scores, provenance
    tokenizer.json      read by the `tokenizers` library
    encoder.onnx        the encoder as an ONNX graph; its large weights are references into encoder.safetensors
    encoder.int8.onnx   optional: the encoder in 8 bits, weights inside, for the runtime onnx-int8
    encoder.safetensors weights of encoder and pooler under their names in torch, float16 or float32
    config.json         Hugging Face configuration of the encoder, for the torch runtime
    heads.safetensors   heads, float32

Nothing in a model directory is ever unpickled.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file

from graph.errors import ModelError
from graph.tasks import Task, load_tasks

FORMAT_VERSION = 1

INT8_ENCODER = "encoder.int8.onnx"

Pooling = Literal["mean", "cls"]


class ManifestTask(BaseModel):
    """A task as the weights know it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    labels: tuple[str, ...]
    kind: str


class Manifest(BaseModel):
    """`manifest.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int
    name: str
    created: str = Field(description="date of the export, ISO 8601")
    base_model: dict[str, Any] = Field(description="which weights training started from")
    hidden_size: int
    pooling: Pooling = Field(description="what the pooler sees: the mean of token vectors, or that of [CLS]")
    tasks: tuple[ManifestTask, ...]
    temperatures: dict[str, float]
    files: dict[str, str] = Field(description="sha256 of every other file in the directory")
    scores: dict[str, Any] = Field(description="accuracy and macro-F1 a task and a split, also by origin")
    data: list[dict[str, Any]] = Field(description="origins of the training data with rows and licence")
    training: dict[str, Any] = Field(description="the recipe and seed that made these weights")


@dataclass(frozen=True)
class ModelDirectory:
    """An opened model directory, made for exactly the tasks it is used for."""

    path: Path
    manifest: Manifest
    tasks: tuple[Task, ...]

    @staticmethod
    def open(path: Path, tasks_file: Path) -> "ModelDirectory":
        """Read the manifest and hold it against the tasks.

        Raises:
            ModelError: no such directory, an unreadable manifest, another format version or other tasks.
            TasksError: the task file is wrong.
        """
        manifest = read_manifest(path)
        tasks = load_tasks(tasks_file)
        _check_tasks(path, manifest, tasks)
        return ModelDirectory(path, manifest, tasks)

    def verify(self) -> None:
        """Check every file of the manifest, so that a broken model is refused before anything runs on it."""
        for name in self.manifest.files:
            self.file(name)

    def file(self, name: str) -> Path:
        """Path of one file, after its sha256 has been found to be the manifest's.

        Raises:
            ModelError: the file is missing, altered, truncated or not listed.
        """
        if name not in self.manifest.files:
            raise ModelError(f"model directory {self.path}: its manifest lists no {name}")
        try:
            with (self.path / name).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(f"model directory {self.path}: cannot read {name}: {error.strerror}") from error
        if digest != self.manifest.files[name]:
            raise ModelError(f"model directory {self.path}: {name} is not the file that its manifest describes")
        return self.path / name

    def load_tensors(self, name: str) -> dict[str, NDArray[np.float32]]:
        """The tensors of one safetensors file."""
        try:
            return load_file(self.file(name))
        except SafetensorError as error:
            raise ModelError(f"model directory {self.path}: cannot read {name}: {error}") from error

    @cached_property
    def version(self) -> str:
        """A short name of exactly these weights: the first 12 digits of the manifest's own sha256."""
        return hashlib.sha256((self.path / "manifest.json").read_bytes()).hexdigest()[:12]


def read_manifest(path: Path) -> Manifest:
    """Read `manifest.json`.

    Raises:
        ModelError: it is missing, not JSON, of another format version, or lacks a field.
    """
    if not path.is_dir():
        raise ModelError(f"no model directory at {path}")
    try:
        raw = json.loads((path / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"model directory {path}: cannot read manifest.json: {error}") from error
    found = raw.get("format_version") if isinstance(raw, dict) else None
    if found != FORMAT_VERSION:
        raise ModelError(f"model directory {path}: format version {found}, this program reads {FORMAT_VERSION}")
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelError(f"model directory {path}: manifest.json: {where}: {first['msg']}") from error


def _check_tasks(path: Path, manifest: Manifest, tasks: tuple[Task, ...]) -> None:
    trained = {task.name: task for task in manifest.tasks}
    for task in tasks:
        mine = trained.get(task.name)
        if mine is None:
            raise ModelError(f"model directory {path}: no head for task {task.name}")
        if mine.labels != task.labels or mine.kind != task.kind:
            raise ModelError(f"model directory {path}: task {task.name} was trained with other labels or kind")
