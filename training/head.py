"""One more task for a model directory: a linear head on its frozen encoder, from a table of texts and labels.

The encoder runs in the ONNX runtime, once a text, and torch is not needed; what is fitted is a multinomial logistic
regression. The other tasks keep their numbers to the last bit, since nothing of theirs is touched.

What is written: a copy of the model directory with the head in it, and beside it a task file `<name>.tasks.yaml`
with the task behind the others.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression

from graph.heads import Head
from graph.model_directory import Manifest, ManifestTask, ModelDirectory
from graph.pipeline import Pipeline, load_pipeline
from graph.tasks import Task, load_tasks
from training.calibrate import LEAST_CHANCE, Answers, fit_temperature
from training.data import Row, Split, text_hash
from training.evaluate import Score, as_plain, pool, score_rows
from training.manifest import data_records, sha256_of, write_manifest
from training.noise import spoken

HeldOut = Literal["valid", "test"]
Scores = dict[HeldOut, dict[str, Score]]

# Share of each label's texts for each of valid and test.
HELD_OUT_SHARE = 0.15
# One for each split.
LEAST_TEXTS = 3
# Inverse strengths of the penalty that are tried; valid decides.
STRENGTHS = (0.01, 0.1, 1.0, 10.0)
# A handful of held-out texts that are all answered right would ask for certainty.
LEAST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.5, 4.0
# Who wrote the rows, where the table does not say.
DEFAULT_ORIGIN = "unnamed"


@dataclass(frozen=True)
class Fit:
    """A fitted head and what it was chosen by.

    Attributes:
        head: with its temperature.
        strength: that of `STRENGTHS` which won.
        loss: mean negative log-likelihood on valid, at the temperature.
    """

    head: Head
    strength: float
    loss: float


def train_head(
    name: str,
    table: Path,
    model_path: Path,
    tasks_file: Path,
    out: Path,
    *,
    seed: int = 1,
    threads: int = 2,
    report: Callable[[str], None] = print,
) -> Scores:
    """Train a head and write the larger model directory and its task file.

    Args:
        name: of the new task.
        table: TSV file with the columns text and label, and origin if wished.
        model_path: model directory to start from; it is not changed.
        tasks_file: its task file; not changed either.
        out: model directory to write; neither it nor `<out>.tasks.yaml` may exist.
        seed: decides which texts are held out.
        threads: CPU threads of the encoder.
        report: takes a line of progress.

    Returns:
        Split to "all" or origin to score, of the head as it will be served.

    Raises:
        ValueError: the table, the name or `out` cannot be used; the message says what to do.
        OSError: a file cannot be read or written.
        GraphError: the model directory or the task file cannot be used.
    """
    for path in (out, tasks_file_beside(out)):
        if path.exists():
            raise ValueError(f"{path} exists already: remove it, or name another place")
    model = ModelDirectory.open(model_path, tasks_file)
    labels, rows = read_table(table)
    task = new_task(name, labels, model)
    splits = split_rows(rows, labels, seed)
    report(f"{len(rows)} texts, {len(labels)} labels; " + ", ".join(f"{k} {len(v)}" for k, v in splits.items()))
    pipeline = load_pipeline(model, threads=threads)
    fit = fit_head(task, pipeline, splits)
    report(f"strength {fit.strength:g}, temperature {fit.head.temperature:.2f}, loss on valid {fit.loss:.3f}")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
        unfinished = Path(scratch) / out.name
        scores = write_copy(model, fit, splits, unfinished, seed, threads)
        shutil.copyfile(tasks_file_beside(unfinished), tasks_file_beside(out))
        unfinished.rename(out)
    return scores


def tasks_file_beside(out: Path) -> Path:
    """Where the task file of a model directory with a head of one's own lies."""
    return out.with_name(f"{out.name}.tasks.yaml")


def read_table(path: Path) -> tuple[tuple[str, ...], list[Row]]:
    """Labels, sorted, and rows of a TSV file with a header; a text that comes again is taken once.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not such a table; the message names the line.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    columns = lines[0].rstrip("\r").split("\t")
    if missing := [name for name in ("text", "label") if name not in columns]:
        found = ", ".join(columns)
        raise ValueError(f"{path} has no column {missing[0]}: its first line, split at tabs, is: {found[:80]}")
    records: dict[bytes, tuple[str, str, str]] = {}
    for number, line in enumerate(lines[1:], start=2):
        fields = dict(zip(columns, line.rstrip("\r").split("\t"), strict=False))
        if not line.strip():
            continue
        if len(fields) < len(columns) or not fields["label"]:
            raise ValueError(f"{path}, line {number}: expected {', '.join(columns)}, separated by tabs")
        record = (fields["text"], fields["label"], fields.get("origin", DEFAULT_ORIGIN))
        records.setdefault(text_hash(fields["text"]), record)
    labels = tuple(sorted({label for _, label, _ in records.values()}))
    return labels, [Row(text, labels.index(label), origin) for text, label, origin in records.values()]


def new_task(name: str, labels: tuple[str, ...], model: ModelDirectory) -> Task:
    """The task, found to be new to the model.

    Raises:
        ValueError: it is not, its name is none, or there is but one label.
    """
    if name in {task.name for task in model.manifest.tasks}:
        raise ValueError(f"{model.path} has a task {name} already: choose another name")
    try:
        return Task(name=name, labels=labels, kind="single")
    except ValidationError as error:
        if len(labels) < 2:
            raise ValueError(f"a task needs two labels at least, the table has {len(labels)}") from error
        raise ValueError(f"{name!r} is no name of a task: letters, digits and _ only") from error


def split_rows(rows: Sequence[Row], labels: Sequence[str], seed: int) -> dict[Split, list[Row]]:
    """Hold out a share of each label for valid and for test.

    Raises:
        ValueError: a label has too few texts for three splits.
    """
    random = np.random.default_rng(seed)
    splits: dict[Split, list[Row]] = {split: [] for split in get_args(Split)}
    for i, label in enumerate(labels):
        mine = [row for row in rows if row.label == i]
        if len(mine) < LEAST_TEXTS:
            raise ValueError(f"label {label} has {len(mine)} different texts, {LEAST_TEXTS} is the least: add some")
        mine = [mine[k] for k in random.permutation(len(mine))]
        held_out = max(1, round(HELD_OUT_SHARE * len(mine)))
        splits["valid"] += mine[:held_out]
        splits["test"] += mine[held_out : 2 * held_out]
        splits["train"] += mine[2 * held_out :]
    return splits


def fit_head(task: Task, pipeline: Pipeline, splits: dict[Split, list[Row]]) -> Fit:
    """Fit with each strength and keep what valid finds most likely, each at its own temperature."""
    # Each text twice, as written and as speech recognition would write it: users come both ways.
    rows = [form for row in splits["train"] for form in (row, replace(row, text=spoken(row.text)))]
    vectors, classes = pool(pipeline, rows), [row.label for row in rows]
    truth = np.eye(len(task.labels), dtype=np.float32)[[row.label for row in splits["valid"]]]
    valid = Answers(splits["valid"], pool(pipeline, splits["valid"]), truth)
    return min((_fit(task, vectors, classes, valid, strength) for strength in STRENGTHS), key=lambda fit: fit.loss)


def _fit(task: Task, vectors: NDArray[np.float32], classes: Sequence[int], valid: Answers, strength: float) -> Fit:
    regression = LogisticRegression(C=strength, max_iter=2000, tol=1e-3).fit(vectors, classes)
    weight, bias = regression.coef_, regression.intercept_
    if len(task.labels) == 2:  # one row for two classes: the first is what the other is held against
        weight, bias = np.concatenate([np.zeros_like(weight), weight]), np.array([0.0, bias[0]])
    # In C order: safetensors writes the bytes as they lie, and would mix up the rows of any other.
    head = Head(task, np.ascontiguousarray(weight, dtype=np.float32), bias.astype(np.float32))
    temperature = min(max(fit_temperature(head, valid), LEAST_TEMPERATURE), HIGHEST_TEMPERATURE)
    head = replace(head, temperature=temperature)
    likely = (head.probabilities(valid.pooled) * valid.truth).sum(axis=1)
    return Fit(head, strength, float(-np.log(np.maximum(likely, LEAST_CHANCE)).mean()))


def write_copy(
    model: ModelDirectory, fit: Fit, splits: dict[Split, list[Row]], out: Path, seed: int, threads: int
) -> Scores:
    """Write the larger model directory with its task file beside it, and score the head as it will be served."""
    task = fit.head.task
    shutil.copytree(model.path, out)
    tensors = model.load_tensors("heads.safetensors")
    tensors |= {f"{task.name}.weight": fit.head.weight, f"{task.name}.bias": fit.head.bias}
    save_file(tensors, out / "heads.safetensors")
    (out / "heads.safetensors").chmod(0o644)  # safetensors writes for the owner alone
    write_tasks(tasks_file_beside(out), (*model.tasks, task))
    manifest = enlarged(model, fit, splits, sha256_of(out / "heads.safetensors"), out.name, seed)
    write_manifest(Manifest.model_validate(manifest), out)
    pipeline = load_pipeline(ModelDirectory.open(out, tasks_file_beside(out)), threads=threads)
    scores: Scores = {split: score_rows(pipeline, task, splits[split]) for split in get_args(HeldOut)}
    for split, of_split in scores.items():
        manifest["scores"].setdefault(split, {}).update(as_plain({task.name: of_split}))
    write_manifest(Manifest.model_validate(manifest), out)
    return scores


def enlarged(
    model: ModelDirectory, fit: Fit, splits: dict[Split, list[Row]], digest: str, name: str, seed: int
) -> dict[str, Any]:
    """The manifest with the new task in every part but the scores; `digest` is that of the new heads file."""
    task = fit.head.task
    manifest: dict[str, Any] = json.loads(model.manifest.model_dump_json())
    manifest["name"] = name
    manifest["created"] = datetime.now(UTC).date().isoformat()
    manifest["tasks"].append(ManifestTask(name=task.name, labels=task.labels, kind=task.kind).model_dump())
    manifest["temperatures"][task.name] = fit.head.temperature
    manifest["files"]["heads.safetensors"] = digest
    manifest["data"] += data_records(task.name, (row.origin for row in splits["train"]))
    how = {"on": model.version, "strength": fit.strength, "held_out_share": HELD_OUT_SHARE, "seed": seed}
    manifest["training"].setdefault("heads", {})[task.name] = how
    return manifest


def write_tasks(path: Path, tasks: Sequence[Task]) -> None:
    """Write a task file and read it again."""
    plain = [task.model_dump(mode="json", exclude_none=True) for task in tasks]
    path.write_text(yaml.safe_dump({"tasks": plain}, sort_keys=False, allow_unicode=True, width=120), "utf-8")
    load_tasks(path)
