"""A trained model to a model directory, with the scores of what was written."""

import hashlib
import json
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import torch
import yaml
from safetensors.torch import save_file

from graph.model_directory import FORMAT_VERSION, Manifest, ManifestTask, ModelDirectory
from graph.pipeline import load_pipeline
from training.data import Split, read_training_rows
from training.evaluate import Score, as_plain, score_split
from training.model import MultitaskModel
from training.onnx_export import export_onnx
from training.recipe import Recipe

LICENCES = Path(__file__).parent.parent / "configs" / "training" / "licences.yaml"
NO_LICENCE = "not stated"

Scores = dict[str, dict[str, dict[str, Score]]]


def export(model: MultitaskModel, recipe: Recipe, tasks_file: Path, data: Path, out: Path) -> Scores:
    """Write the model directory, score it as it will be served, and write the scores into its manifest.

    Returns:
        Split to task to "all" or origin to score, for valid and test.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_model(model, recipe, _origins(model, recipe, data), out)
    pipeline = load_pipeline(ModelDirectory.open(out, tasks_file), max_tokens=recipe.max_tokens, threads=recipe.threads)
    scores: Scores = {split: score_split(pipeline, data, split) for split in get_args(Split) if split != "train"}
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    manifest["scores"] = {split: as_plain(of_split) for split, of_split in scores.items()}
    _write_manifest(Manifest.model_validate(manifest), out)
    return scores


def write_model(model: MultitaskModel, recipe: Recipe, origins: list[dict[str, Any]], out: Path) -> None:
    """Write every file of the model directory; the manifest, last, has no scores yet."""
    encoder = model.encoder.eval()
    # Neighbouring runtimes must agree, so both get the rounded weights.
    halves = {name: tensor.detach().half().contiguous() for name, tensor in encoder.state_dict().items()}
    save_file(halves, out / "encoder.safetensors")
    encoder.load_state_dict(halves)
    config: Any = encoder.backbone.config
    config.name_or_path = ""  # the place of the base on this machine
    config.to_json_file(out / "config.json", use_diff=False)
    export_onnx(encoder, out / "encoder.safetensors", out / "encoder.onnx")
    heads: dict[str, torch.Tensor] = {}
    for name, head in model.graph_heads().items():
        heads[f"{name}.weight"] = torch.from_numpy(head.weight)
        heads[f"{name}.bias"] = torch.from_numpy(head.bias)
    save_file(heads, out / "heads.safetensors")
    base = recipe.base.locate()
    shutil.copyfile(base / "tokenizer.json", out / "tokenizer.json")
    names = ("tokenizer.json", "encoder.onnx", "encoder.safetensors", "config.json", "heads.safetensors")
    for name in names:
        (out / name).chmod(0o644)  # safetensors writes for the owner alone; the service may run as another user
    training = recipe.model_dump(mode="json")
    if recipe.base.directory.is_absolute():  # the place on this machine is nobody's business
        training["base"]["directory"] = recipe.base.directory.name
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        name=recipe.name,
        created=datetime.now(UTC).date().isoformat(),
        base_model=training["base"] | {"layers": recipe.layers},
        hidden_size=encoder.hidden_size,
        pooling=recipe.pooling,
        tasks=tuple(ManifestTask(name=task.name, labels=task.labels, kind=task.kind) for task in model.tasks),
        temperatures={task.name: 1.0 for task in model.tasks},
        files={name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in names},
        scores={},
        data=origins,
        training=training,
    )
    _write_manifest(manifest, out)


def _write_manifest(manifest: Manifest, out: Path) -> None:
    text = json.dumps(manifest.model_dump(mode="json"), indent=1, ensure_ascii=False)
    (out / "manifest.json").write_text(text + "\n", "utf-8")


def _origins(model: MultitaskModel, recipe: Recipe, data: Path) -> list[dict[str, Any]]:
    """A record a task and origin: rows it offered to training, and its licence."""
    licences: dict[str, str] = yaml.safe_load(LICENCES.read_text("utf-8"))
    records: list[dict[str, Any]] = []
    for task, rows in zip(model.tasks, read_training_rows(data, model.tasks, recipe), strict=True):
        for origin, count in sorted(Counter(row.origin for row in rows).items()):
            licence = licences.get(origin, NO_LICENCE)
            records.append({"task": task.name, "origin": origin, "rows": count, "licence": licence})
    return records
