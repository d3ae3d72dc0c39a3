"""A model to a model directory; a trained one with the scores of what was written."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors.torch import save_file

from graph.heads import Head
from graph.model_directory import FORMAT_VERSION, Manifest, ManifestTask, ModelDirectory
from graph.pipeline import load_pipeline
from graph.runtime_torch import PooledEncoder
from training.data import Row, Split
from training.evaluate import Score, as_plain, score_split
from training.manifest import data_records, sha256_of, write_manifest
from training.model import MultitaskModel
from training.onnx_export import export_onnx
from training.recipe import Recipe

# Every file of a model directory but the manifest.
FILES = ("tokenizer.json", "encoder.onnx", "encoder.safetensors", "config.json", "heads.safetensors")

Scores = dict[str, dict[str, dict[str, Score]]]


@dataclass(frozen=True)
class Provenance:
    """What a manifest says of weights that cannot be read off them; see `graph.model_directory.Manifest`."""

    name: str
    base_model: dict[str, Any]
    data: list[dict[str, Any]]
    training: dict[str, Any]


def export(
    model: MultitaskModel,
    rows_by_task: Sequence[Sequence[Row]],
    recipe: Recipe,
    tasks_file: Path,
    data: Path,
    out: Path,
) -> Scores:
    """Write the model directory, score it as it will be served, and write the scores into its manifest.

    Args:
        model: trained.
        rows_by_task: what it was trained on; their origins go into the manifest.
        recipe: of the training.
        tasks_file: the tasks, in contract order.
        data: folder of the tasks' data.
        out: model directory to write; what is there is replaced in the end, for the run may have read it, and could
            not go on without it.

    Returns:
        Split to task to "all" or origin to score, for valid and test.
    """
    finished, out = out, out.with_name(f"{out.name}.unfinished")
    out.mkdir(parents=True, exist_ok=True)
    provenance = provenance_of(recipe, _origins(model, rows_by_task))
    write_model(model.encoder, model.graph_heads(), recipe.base.locate() / "tokenizer.json", provenance, out)
    pipeline = load_pipeline(ModelDirectory.open(out, tasks_file), max_tokens=recipe.max_tokens, threads=recipe.threads)
    scores: Scores = {split: score_split(pipeline, data, split) for split in get_args(Split) if split != "train"}
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    manifest["scores"] = {split: as_plain(of_split) for split, of_split in scores.items()}
    write_manifest(Manifest.model_validate(manifest), out)
    finished.mkdir(exist_ok=True)
    for name in (*FILES, "manifest.json"):
        os.replace(out / name, finished / name)
    out.rmdir()
    return scores


def provenance_of(recipe: Recipe, origins: list[dict[str, Any]]) -> Provenance:
    """What the manifest of a trained model says; `origins` are those of its data."""
    training = recipe.model_dump(mode="json")
    # A place on this machine is nobody's business.
    for settings, name in [(training["base"], "directory"), (training, "lines"), (training, "start")]:
        if settings[name] is not None:
            settings[name] = _without_place(settings[name])
    training["mean_with"] = {_without_place(path): share for path, share in training["mean_with"].items()}
    if training["teacher"] is not None:
        training["teacher"]["models"] = [_without_place(path) for path in training["teacher"]["models"]]
    return Provenance(
        name=recipe.name,
        base_model=training["base"] | {"layers": recipe.layers},
        data=origins,
        training=training,
    )


def _without_place(path: str) -> str:
    return Path(path).name if Path(path).is_absolute() else path


def write_model(
    encoder: PooledEncoder,
    heads: Mapping[str, Head],
    tokenizer: Path,
    provenance: Provenance,
    out: Path,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write every file of the model directory; the manifest, last, has no scores yet.

    Args:
        encoder: encoder and pooler; their weights are rounded to `dtype`, in memory too.
        heads: by task name, in contract order.
        tokenizer: a `tokenizer.json`.
        provenance: for the manifest.
        out: an existing directory.
        dtype: how the encoder's weights are stored: float16 for half the size, float32 for exactly these weights.
    """
    shutil.copyfile(tokenizer, out / "tokenizer.json")
    _write_encoder(encoder.eval(), dtype, out)
    _write_heads(heads, out)
    for name in FILES:
        (out / name).chmod(0o644)  # safetensors writes for the owner alone; the service may run as another user
    tasks = [head.task for head in heads.values()]
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        name=provenance.name,
        created=datetime.now(UTC).date().isoformat(),
        base_model=provenance.base_model,
        hidden_size=encoder.hidden_size,
        pooling=encoder.pooling,
        tasks=tuple(ManifestTask(name=task.name, labels=task.labels, kind=task.kind) for task in tasks),
        temperatures={name: head.temperature for name, head in heads.items()},
        files={name: sha256_of(out / name) for name in FILES},
        scores={},
        data=provenance.data,
        training=provenance.training,
    )
    write_manifest(manifest, out)


def _write_encoder(encoder: PooledEncoder, dtype: torch.dtype, out: Path) -> None:
    stored = {name: tensor.detach().to(dtype).contiguous() for name, tensor in encoder.state_dict().items()}
    save_file(stored, out / "encoder.safetensors")
    # Neighbouring runtimes must agree, so both get the rounded weights.
    encoder.load_state_dict(stored)
    config: Any = encoder.backbone.config
    config.name_or_path = ""  # the place of the base on this machine
    config.to_json_file(out / "config.json", use_diff=False)
    export_onnx(encoder, out / "encoder.safetensors", out / "encoder.onnx")


def _write_heads(heads: Mapping[str, Head], out: Path) -> None:
    tensors: dict[str, torch.Tensor] = {}
    for name, head in heads.items():
        tensors[f"{name}.weight"] = torch.from_numpy(head.weight)
        tensors[f"{name}.bias"] = torch.from_numpy(head.bias)
    save_file(tensors, out / "heads.safetensors")


def _origins(model: MultitaskModel, rows_by_task: Sequence[Sequence[Row]]) -> list[dict[str, Any]]:
    """A record a task and origin: rows it offered to training, and its licence."""
    return [
        record
        for task, rows in zip(model.tasks, rows_by_task, strict=True)
        for record in data_records(task.name, (row.origin for row in rows))
    ]
