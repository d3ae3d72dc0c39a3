"""A DeepPavlov checkpoint to a model directory.

python -m training.import_deeppavlov CHECKPOINT --backbone DIR --tasks configs/tasks.yaml --out MODEL_DIR

CHECKPOINT is what `multitask_transformer` saves (model.pth.tar), all of its tasks of type classification; DIR is the
Hugging Face directory of its backbone, of which only configuration and tokenizer are read. The encoder is stored in
float32, so that the scores are those that DeepPavlov gave.

A checkpoint knows its heads by number alone. They must stand in the order of the task file: that two heads of equally
many classes have changed places, nobody can see.

MODEL_DIR must not exist yet. It is written under a hidden name beside its place and then renamed: whole or not at all.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer

from graph.errors import GraphError
from graph.heads import Head
from graph.runtime_torch import PooledEncoder
from graph.tasks import Task, load_tasks
from training.export import Provenance, write_model
from training.manifest import NO_LICENCE, sha256_of

# The backbone is called so whatever its architecture; pooler and heads hang in it.
BACKBONE = "bert."
HEADS = f"{BACKBONE}final_classifier."


def import_checkpoint(checkpoint: Path, backbone: Path, tasks_file: Path, out: Path) -> None:
    """Write the model directory `out`, which must not exist.

    Raises:
        ValueError: checkpoint, backbone and tasks do not fit together, or `out` exists.
        OSError: a file is missing, or `out` cannot be written.
        TasksError: the task file is wrong.
    """
    if out.exists():
        raise ValueError(f"{out} exists already: remove it, or name another place")
    tasks = load_tasks(tasks_file)
    weights = read_weights(checkpoint)
    encoder = build_encoder(backbone)
    check_parts(weights, encoder, tasks)
    encoder.load_state_dict({name: weights[name_in_checkpoint(name)] for name in encoder.state_dict()})
    heads = {
        task.name: Head(task, weights[f"{HEADS}{i}.weight"].numpy(), weights[f"{HEADS}{i}.bias"].numpy())
        for i, task in enumerate(tasks)
    }
    config: Any = encoder.backbone.config
    provenance = provenance_of(checkpoint, config.model_type, out.name)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
        tokenizer = find_tokenizer(backbone, config.vocab_size, Path(scratch))
        unfinished = Path(scratch) / out.name
        unfinished.mkdir()
        write_model(encoder, heads, tokenizer, provenance, unfinished, dtype=torch.float32)
        unfinished.rename(out)


def read_weights(checkpoint: Path) -> dict[str, Tensor]:
    """The model's tensors by name, without the prefix that parallel training adds; nothing else is unpickled."""
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # what a damaged file raises has no common base
        raise ValueError(f"{checkpoint} is damaged, or holds more than tensors and plain data") from error
    weights = content.get("model_state_dict") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        raise ValueError(f"{checkpoint} holds no model_state_dict of tensors")
    return {str(name).removeprefix("module."): tensor.detach().float().contiguous() for name, tensor in weights.items()}


def build_encoder(backbone: Path) -> PooledEncoder:
    """The encoder that the backbone's configuration describes, pooled as DeepPavlov does; its weights are random."""
    config = backbone / "config.json"
    if not config.is_file():  # transformers would look for a model of that name in the network
        raise FileNotFoundError(f"no backbone at {backbone}: it has no config.json")
    try:
        settings = AutoConfig.from_pretrained(backbone, trust_remote_code=False)
        return PooledEncoder(AutoModel.from_config(settings, dtype=torch.float32), "cls")  # type: ignore[no-untyped-call]
    except Exception as error:  # transformers raises many types without a common base
        raise ValueError(f"no encoder can be built from {config}: {error}") from error


def name_in_checkpoint(name: str) -> str:
    """What DeepPavlov calls a tensor of `PooledEncoder`: `backbone.x` is `bert.x`, `pooler.x` is `bert.pooler.x`."""
    return BACKBONE + name.removeprefix("backbone.")


def check_parts(weights: Mapping[str, Tensor], encoder: PooledEncoder, tasks: Sequence[Task]) -> None:
    """Hold the checkpoint against backbone and tasks.

    Raises:
        ValueError: a part is missing, superfluous or of another shape.
    """
    heads = {name.removeprefix(HEADS).partition(".")[0] for name in weights if name.startswith(HEADS)}
    if len(heads) != len(tasks):
        raise ValueError(f"the checkpoint has {len(heads)} heads, the task file has {len(tasks)} tasks")
    expected = {name_in_checkpoint(name): tuple(tensor.shape) for name, tensor in encoder.state_dict().items()}
    for i, task in enumerate(tasks):
        expected[f"{HEADS}{i}.weight"] = (len(task.labels), encoder.hidden_size)
        expected[f"{HEADS}{i}.bias"] = (len(task.labels),)
    if missing := expected.keys() - weights.keys():
        raise ValueError(f"the checkpoint has no {min(missing)} ({len(missing)} missing in all)")
    # Older transformers saved constants too, such as the numbers of the positions; today's compute them.
    constants = {name_in_checkpoint(name) for name, _ in encoder.named_buffers()}
    if extra := weights.keys() - expected.keys() - constants:
        raise ValueError(f"the checkpoint has {min(extra)}, which the backbone has not ({len(extra)} extra in all)")
    for name, shape in expected.items():
        if weights[name].shape != shape:
            user = f"task {tasks[int(name.split('.')[2])].name}" if name.startswith(HEADS) else "the backbone"
            raise ValueError(f"{name} is {tuple(weights[name].shape)} in the checkpoint, {user} needs {shape}")


def find_tokenizer(backbone: Path, vectors: int, scratch: Path) -> Path:
    """The backbone's `tokenizer.json`; where an older one has `vocab.txt` instead, a file in `scratch` made from it.

    Raises:
        ValueError: there is none, or the encoder has vectors for fewer tokens.
    """
    path = backbone / "tokenizer.json"
    try:
        if not path.exists() and (backbone / "vocab.txt").exists():
            path = scratch / "tokenizer.json"
            AutoTokenizer.from_pretrained(backbone, trust_remote_code=False).backend_tokenizer.save(str(path))
        tokens = Tokenizer.from_file(str(path)).get_vocab_size()
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(f"no tokenizer.json or vocab.txt in {backbone} that can be read: {error}") from error
    if tokens > vectors:
        raise ValueError(f"the tokenizer of {backbone} knows {tokens} tokens, its encoder has vectors for {vectors}")
    return path


def provenance_of(checkpoint: Path, architecture: str, name: str) -> Provenance:
    """What is known of imported weights: which file they were in, and nothing of their data."""
    base = {
        "origin": "imported from a DeepPavlov multitask_transformer checkpoint",
        "architecture": architecture,
        "licence": NO_LICENCE,
    }
    return Provenance(name, base, data=[], training={"imported_from": "deeppavlov", "sha256": sha256_of(checkpoint)})


def main(arguments: Sequence[str] | None = None) -> None:
    """Import, and say in one line what came of it."""
    parser = argparse.ArgumentParser(description="Make a model directory of a DeepPavlov checkpoint.")
    parser.add_argument("checkpoint", type=Path, help="model.pth.tar of a multitask_transformer")
    parser.add_argument("--backbone", type=Path, required=True, help="Hugging Face directory of the backbone")
    parser.add_argument("--tasks", type=Path, default=Path("configs/tasks.yaml"), help="task file (%(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="model directory to write; must not exist")
    options = parser.parse_args(arguments)
    try:
        import_checkpoint(options.checkpoint, options.backbone, options.tasks, options.out)
    except (GraphError, OSError, ValueError) as error:
        sys.exit(f"cannot import: {' '.join(str(error).split())}")
    print(f"{options.out}: imported from {options.checkpoint}")


if __name__ == "__main__":
    main()
