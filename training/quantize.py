"""An 8-bit encoder beside the float32 one, for the runtime onnx-int8.

python -m training.quantize MODEL_DIR DATA

Writes `encoder.int8.onnx` into the model directory and lists it in the manifest; nothing else changes. See
`training.int8` for how. Training rows show which values occur; at the end valid rows show what it costs.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from graph.encoder import Encoder, load_runtime, plan_sub_batches
from graph.errors import GraphError
from graph.heads import Head
from graph.model_directory import INT8_ENCODER, ModelDirectory
from graph.pipeline import Pipeline, load_pipeline
from graph.tokenizer import TokenBatch
from training.data import Row, Split, read_rows
from training.int8 import folded, observe, quantized
from training.manifest import sha256_of, write_manifest

# Rows a task. The least and greatest value of each channel hardly move after a few thousand tokens.
OBSERVED_ROWS = 200
COMPARED_ROWS = 200

# Tokens, padding included, in one pass over the graph while its values are observed.
TOKENS = 1024

Batch = tuple[NDArray[np.int64], NDArray[np.int64]]


def some_rows(data: Path, pipeline: Pipeline, split: Split, limit: int) -> dict[str, list[Row]]:
    """At most `limit` rows of each task, evenly picked.

    Raises:
        ValueError: a task has no rows.
    """
    picked: dict[str, list[Row]] = {}
    for task in pipeline.tasks:
        rows = read_rows(data, task, split)
        if not rows:
            raise ValueError(f"{data}: task {task.name} has no {split} rows")
        picked[task.name] = [rows[i] for i in np.linspace(0, len(rows) - 1, min(limit, len(rows))).astype(int)]
    return picked


def padded_batches(tokens: TokenBatch) -> Iterator[Batch]:
    """Ids and masks of all rows."""
    return (tokens.padded(rows) for rows in plan_sub_batches(tokens.lengths, TOKENS))


def quantize(model: ModelDirectory, data: Path) -> ModelDirectory:
    """Add the 8-bit encoder to a model directory.

    Raises:
        ValueError: the data lack rows, or the encoder has no product that could be quantized.
    """
    pipeline = load_pipeline(model, "onnx")
    texts = [row.text for rows in some_rows(data, pipeline, "train", OBSERVED_ROWS).values() for row in rows]
    encoder = folded(model)
    graph = quantized(encoder, observe(encoder, padded_batches(pipeline.tokenizer(texts))))
    return write_int8(model, graph)


def write_int8(model: ModelDirectory, graph: onnx.ModelProto) -> ModelDirectory:
    """Write the graph and list it in the manifest; each file is there whole or not at all."""
    with tempfile.TemporaryDirectory(prefix=".quantize.", dir=model.path) as scratch:
        unfinished = Path(scratch) / INT8_ENCODER
        onnx.save(graph, str(unfinished))
        onnx.checker.check_model(str(unfinished))
        unfinished.chmod(0o644)
        os.replace(unfinished, model.path / INT8_ENCODER)
    files = model.manifest.files | {INT8_ENCODER: sha256_of(model.path / INT8_ENCODER)}
    manifest = model.manifest.model_copy(update={"files": files})
    write_manifest(manifest, model.path)
    return ModelDirectory(model.path, manifest, model.tasks)


def comparison(model: ModelDirectory, data: Path) -> str:
    """What 8 bits change on valid rows, in one line."""
    exact = load_pipeline(model, "onnx")
    encoder = Encoder(load_runtime("onnx-int8", model))
    same: list[NDArray[np.bool_]] = []
    for name, rows in some_rows(data, exact, "valid", COMPARED_ROWS).items():
        tokens, head = exact.tokenizer([row.text for row in rows]), exact.heads[name]
        before, after = (_decisions(head, encode(tokens)) for encode in (exact.encoder, encoder))
        same.append((before == after).all(axis=1))
    rates = np.concatenate(same)
    return f"the same labels as in float32 on {rates.mean():.1%} of {len(rates)} valid rows"


def _decisions(head: Head, pooled: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which labels hold: `(n, classes)`."""
    probabilities = head(pooled)
    least = 0.5 if head.task.kind == "multi" else probabilities.max(axis=1, keepdims=True)
    decisions: NDArray[np.bool_] = probabilities >= least
    return decisions


def main(arguments: Sequence[str] | None = None) -> None:
    """Quantize, and say what came of it."""
    parser = argparse.ArgumentParser(description="Write an 8-bit encoder into a model directory.")
    parser.add_argument("model", type=Path, help="model directory")
    parser.add_argument("data", type=Path, help="folder with <task>/<split>.tsv.gz")
    parser.add_argument("--tasks", type=Path, default=Path("configs/tasks.yaml"), help="task file (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        model = quantize(ModelDirectory.open(options.model, options.tasks), options.data)
        size = (model.path / INT8_ENCODER).stat().st_size
        print(f"{model.path / INT8_ENCODER}: {size / 1e6:.1f} MB; {comparison(model, options.data)}")
    except (GraphError, OSError, ValueError) as error:
        sys.exit(f"cannot quantize: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
