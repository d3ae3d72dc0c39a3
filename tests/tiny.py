"""Tiny stand-ins for what is large in a real run: base encoders, data, a recipe, model directories.

All of it is random or made up, is written in well under a second, and comes out the same every time.
"""

import gzip
import json
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import yaml
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

from graph.tasks import Task, load_tasks
from graph.tokenizer import TokenBatch
from training.export import provenance_of, write_model
from training.model import build_model
from training.recipe import Recipe

Architecture = Literal["bert", "distilbert"]
ARCHITECTURES: tuple[Architecture, ...] = ("bert", "distilbert")
LAYERS = 2

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_FILLERS = "i you we it the a is are was do not so very really please well now then today here"
# A row's label decides which of these it holds, so that there is something to learn.
_MARKERS = (
    "apple bread cheese dog eagle fish guitar house island jacket kite lemon movie needle ocean piano queen river "
    "sun train umbrella violin water yacht zebra book car doctor engine forest game hotel ice king lamp moon"
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
VOCABULARY = tuple(
    dict.fromkeys(
        (
            *_SPECIAL,
            *_LETTERS,
            *(f"##{letter}" for letter in _LETTERS),
            ".",
            "?",
            "'",
            *_FILLERS.split(),
            *_MARKERS.split(),
        )
    )
)

WRITTEN = "written"
# The last one has no licence in configs/training/licences.yaml.
ORIGINS = (WRITTEN, "template", "made_up")

TASKS = (
    Task(name="tiny_mood", labels=("glad", "sad", "calm"), kind="single"),
    Task.model_validate(
        {
            "name": "tiny_danger",
            "labels": ("fire", "flood", "none"),
            "kind": "single",
            "rule": {"drop_below": {"label": "none", "threshold": 0.5}},
        }
    ),
)

MARKED = Task(name="tiny_marks", labels=("fire", "flood", "storm"), kind="multi")


def write_tokenizer(path: Path) -> None:
    """Write a `tokenizer.json` as BERT has it: lower case, WordPiece, [CLS] before and [SEP] behind."""
    ids = {token: i for i, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")]
    )
    tokenizer.save(str(path))


def random_tokens(seed: int) -> TokenBatch:
    """Rows of every length up to 40, and the longest that the encoder of `write_base` has positions for."""
    draw = np.random.default_rng(seed)
    return TokenBatch.from_rows(draw.integers(1, len(VOCABULARY), size=n).tolist() for n in [*range(1, 41), 64])


def write_base(path: Path, architecture: Architecture = "bert") -> None:
    """Write a random Hugging Face encoder: `config.json`, `model.safetensors`, `tokenizer.json`."""
    # Weights far larger than usual, so that different texts come out clearly different.
    shape: dict[str, Any] = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 16,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "max_position_embeddings": 64,
        "initializer_range": 0.5,
    }
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = (
            BertModel(BertConfig(**shape, intermediate_size=32))
            if architecture == "bert"
            else DistilBertModel(DistilBertConfig(**shape, hidden_dim=32))
        )
    model.save_pretrained(path)
    write_tokenizer(path / "tokenizer.json")


def write_tasks(path: Path, tasks: Sequence[Task] = TASKS) -> None:
    """Write a task file."""
    path.write_text(yaml.safe_dump({"tasks": [task.model_dump(mode="json") for task in tasks]}), "utf-8")


def write_rows(data: Path, task: str, split: str, rows: Sequence[tuple[str, str, str]]) -> None:
    """Write one `<task>/<split>.tsv.gz` of text, label and origin."""
    path = data / task / f"{split}.tsv.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["text\tlabel\torigin", *("\t".join(row) for row in rows)]
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))


def write_data(data: Path, tasks: Sequence[Task] = TASKS, rows: int = 36) -> None:
    """Write all splits of all tasks, `rows` rows each; labels and origins take turns."""
    for task in tasks:
        for split in ("train", "valid", "test"):
            write_rows(data, task.name, split, _rows(task, split, rows))


def write_marked_data(data: Path, task: Task = MARKED, rows: int = 36) -> None:
    """Write `<split>_multilabel.tsv.gz` of a task of kind multi: a word a label that holds, some labels not asked."""
    for split in ("train", "valid", "test"):
        draw = random.Random(f"{task.name} {split}")
        lines = ["\t".join(["text", *task.labels, "origin"])]
        for i in range(rows):
            marks = [draw.random() < 0.4 for _ in task.labels]
            words = [word for word, holds in zip(_MARKERS.split(), marks, strict=False) if holds]
            fields = ["" if draw.random() < 0.2 else str(int(holds)) for holds in marks]
            text = " ".join(draw.sample(words + draw.choices(_FILLERS.split(), k=2), len(words) + 2))
            lines.append("\t".join([text, *fields, ORIGINS[i % len(ORIGINS)]]))
        path = data / task.name / f"{split}_multilabel.tsv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))


def _rows(task: Task, split: str, count: int) -> list[tuple[str, str, str]]:
    draw = random.Random(f"{task.name} {split}")
    rows: list[tuple[str, str, str]] = []
    for i in range(count):
        label = i % len(task.labels)
        before, behind = (draw.choices(_FILLERS.split(), k=draw.randint(0, 4)) for _ in range(2))
        text = " ".join([*before, _MARKERS.split()[label], *behind]).capitalize() + draw.choice(".?")
        rows.append((text, task.labels[label], ORIGINS[i // len(task.labels) % len(ORIGINS)]))
    return rows


def tiny_recipe(base: Path, /, **settings: Any) -> Recipe:
    """A recipe of a few steps on a base of `write_base`; `settings` override."""
    return Recipe.model_validate(
        {
            "name": "tiny",
            "base": {"directory": base, "licence": "own"},
            "pooler_gain": 1.0,
            "rows_per_task": 24,
            "repeat": {WRITTEN: 2},
            "epochs": 2,
            "batch_size": 8,
            "encoder_rate": 1e-3,
            "head_rate": 1e-2,
            "warmup_steps": 2,
            "precision": "float32",
            "threads": 1,
            "checkpoint_every": 4,
        }
        | settings
    )


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write a recipe file."""
    path.write_text(yaml.safe_dump(json.loads(recipe.model_dump_json())), "utf-8")


def write_tiny_model(
    path: Path,
    tasks_file: Path,
    architecture: Architecture = "bert",
    pooling: Literal["mean", "cls"] = "mean",
    seed: int = 1,
) -> None:
    """Write a model directory with random weights for the tasks of a task file; nothing is trained."""
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as base, torch.random.fork_rng():
        torch.manual_seed(seed)
        write_base(Path(base), architecture)
        recipe = tiny_recipe(Path(base), pooling=pooling)
        model = build_model(load_tasks(tasks_file), recipe)
        provenance = provenance_of(recipe, [])
        write_model(model.encoder, model.graph_heads(), Path(base) / "tokenizer.json", provenance, path)
