"""Models and texts that are made up to a measure, to see how cost grows."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from graph.model_directory import Manifest, ManifestTask, ModelDirectory
from graph.tasks import Task
from training.head import write_tasks
from training.manifest import write_manifest

LABELS = 10
# One token in any vocabulary of BERT.
WORD = "hello"


def text_of(tokens: int) -> str:
    """A text of so many tokens, [CLS] and [SEP] among them."""
    return " ".join([WORD] * (tokens - 2))


def write_synthetic_tasks(model: ModelDirectory, count: int, out: Path) -> Path:
    """The encoder of a model with so many random heads of `LABELS` labels in place of its own.

    Returns:
        Path of the task file, which lies in the model directory.
    """
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(model.path, out)
    tasks = [
        Task(name=f"synthetic_{i}", labels=tuple(f"label_{k}" for k in range(LABELS)), kind="single")
        for i in range(count)
    ]
    random = np.random.default_rng(1)
    hidden = model.manifest.hidden_size
    tensors = {}
    for task in tasks:
        tensors[f"{task.name}.weight"] = random.normal(size=(LABELS, hidden)).astype(np.float32)
        tensors[f"{task.name}.bias"] = np.zeros(LABELS, dtype=np.float32)
    save_file(tensors, out / "heads.safetensors")
    digest = hashlib.sha256((out / "heads.safetensors").read_bytes()).hexdigest()
    manifest = json.loads(model.manifest.model_dump_json())
    manifest["tasks"] = [ManifestTask(name=t.name, labels=t.labels, kind=t.kind).model_dump() for t in tasks]
    manifest["temperatures"] = {task.name: 1.0 for task in tasks}
    manifest["files"]["heads.safetensors"] = digest
    write_manifest(Manifest.model_validate(manifest), out)
    write_tasks(out / "tasks.yaml", tasks)
    return out / "tasks.yaml"
