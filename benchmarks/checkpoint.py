"""The shipped weights as a checkpoint of DeepPavlov, for the original's stack, and that imported back.

    python -m benchmarks.checkpoint

DeepPavlov pools [CLS] whatever the weights were trained with, so its scores differ from ours where these were trained
with the mean of all tokens. What its answers are held against is therefore the pipeline of the checkpoint imported
back, which pools [CLS] too. The work is the same but for that mean.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from graph.heads import load_heads
from graph.model_directory import ModelDirectory
from serving.settings import PROJECT, Settings
from training.import_deeppavlov import HEADS, import_checkpoint, name_in_checkpoint

PLACE = PROJECT / "runs" / "benchmarks" / "original"
CHAINER = PLACE / "chainer.json"
IMPORTED = PLACE / "imported"
WEIGHTS = "model.pth.tar"
BACKBONE = "backbone"


def write_checkpoint(model: ModelDirectory, max_tokens: int, place: Path) -> None:
    """Write `model.pth.tar`, `backbone/` and `chainer.json`, which names both, into a folder that must not exist."""
    backbone = place / BACKBONE
    backbone.mkdir(parents=True)
    encoder = {name: tensor.float() for name, tensor in load_file(model.file("encoder.safetensors")).items()}
    torch.save(_content(_weights(model, encoder)), place / WEIGHTS)
    # DeepPavlov loads the backbone first, and then the checkpoint over it.
    inner = {name.removeprefix("backbone."): tensor for name, tensor in encoder.items() if name.startswith("backbone.")}
    save_file(inner, backbone / "model.safetensors", metadata={"format": "pt"})
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(model.file(name), backbone / name)
    chainer = {"chainer": _chainer(model, max_tokens, place)}
    (place / CHAINER.name).write_text(json.dumps(chainer, indent=1), "utf-8")


def _weights(model: ModelDirectory, encoder: dict[str, Tensor]) -> dict[str, Tensor]:
    weights = {name_in_checkpoint(name): tensor for name, tensor in encoder.items()}
    for i, head in enumerate(load_heads(model).values()):
        # DeepPavlov knows no temperature; that of a linear layer can stand in its weights.
        weights[f"{HEADS}{i}.weight"] = torch.from_numpy(head.weight) / head.temperature
        weights[f"{HEADS}{i}.bias"] = torch.from_numpy(head.bias) / head.temperature
    return weights


def _content(weights: dict[str, Tensor]) -> dict[str, Any]:
    optimizer = torch.optim.AdamW([nn.Parameter(tensor) for tensor in weights.values()])
    return {"model_state_dict": weights, "optimizer_state_dict": optimizer.state_dict(), "epochs_done": 0}


def _chainer(model: ModelDirectory, max_tokens: int, place: Path) -> dict[str, Any]:
    names = [task.name for task in model.tasks]
    backbone = str(place / BACKBONE)
    preprocessor = {
        "class_name": "torch_transformers_preprocessor",
        "vocab_file": backbone,
        "do_lower_case": True,
        "max_seq_length": max_tokens,
        "in": ["x"],
        "out": ["features"],
    }
    classifier = {
        "class_name": "multitask_transformer",
        "backbone_model": backbone,
        "load_path": str(place / WEIGHTS.removesuffix(".pth.tar")),
        "save_path": str(place / WEIGHTS.removesuffix(".pth.tar")),
        "return_probas": True,
        "optimizer_parameters": {"lr": 2e-5},
        # One forward pass for all tasks, as they see the same text.
        "tasks": {
            task.name: {"type": "classification", "options": len(task.labels), "type_to_cache": 0}
            for task in model.tasks
        },
        "in": ["features"] * len(names),
        "out": names,
    }
    return {"in": ["x"], "pipe": [preprocessor, classifier], "out": names}


def prepare() -> None:
    """Write checkpoint and imported model of the shipped weights, if that has not been done for exactly these."""
    model = ModelDirectory.open(Settings().model_path, Settings().tasks_path)
    stamp = PLACE / "version.txt"
    if stamp.exists() and stamp.read_text("utf-8") == model.version:
        return
    shutil.rmtree(PLACE, ignore_errors=True)
    write_checkpoint(model, Settings().max_tokens, PLACE)
    import_checkpoint(PLACE / WEIGHTS, PLACE / BACKBONE, Settings().tasks_path, IMPORTED)
    stamp.write_text(model.version, "utf-8")


if __name__ == "__main__":
    prepare()
