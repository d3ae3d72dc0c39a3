"""Schemes of fewer bits for the encoder, beside float32: size, accuracy, agreement, independence of company, speed.

    python -m benchmarks.encoders MODEL_DIR DATA [--rows 500] [--rounds 9]

Accuracy and agreement are of the served label on a fixed choice of test rows, each row by its own task's head; the
change alone against in a batch of 32 is the largest of any probability of any task, before the rule. Times are CPU
time of the one thread that computes: shapes and schemes take turns, medians over the rounds are printed.
"""

import argparse
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.schemes import all_schemes
from graph.model_directory import ModelDirectory
from graph.pipeline import Pipeline, load_pipeline
from graph.runtime_onnx import OnnxRuntime
from graph.tokenizer import TokenBatch
from training.int8 import folded
from training.quantize import OBSERVED_ROWS, padded_batches, some_rows

SHAPES = ((1, 8), (1, 16), (32, 16))
COMPANY = 32

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Rows:
    """Test rows of all tasks.

    Attributes:
        tokens: of n rows.
        tasks: name of each row's task.
        truth: position of its label.
        order: a random one, the same every time: who is in a batch with whom.
    """

    tokens: TokenBatch
    tasks: NDArray[np.str_]
    truth: NDArray[np.int64]
    order: NDArray[np.int64]

    @staticmethod
    def pick(pipeline: Pipeline, data: Path, limit: int) -> "Rows":
        """At most `limit` rows a task, evenly picked."""
        picked = [(name, row) for name, rows in some_rows(data, pipeline, "test", limit).items() for row in rows]
        return Rows(
            pipeline.tokenizer([row.text for _, row in picked]),
            np.array([name for name, _ in picked]),
            np.array([row.label for _, row in picked]),
            np.random.default_rng(1).permutation(len(picked)),
        )

    def encode(self, runtime: OnnxRuntime, size: int) -> Vectors:
        """Pooled in batches of so many, whatever their lengths."""
        pooled = np.empty((len(self.tokens), runtime.hidden_size), dtype=np.float32)
        for begin in range(0, len(self.order), size):
            rows = self.order[begin : begin + size]
            pooled[rows] = runtime.run(*self.tokens.padded(rows))
        return pooled

    def labels(self, pipeline: Pipeline, pooled: Vectors) -> NDArray[np.int64]:
        """The served label of each row."""
        labels = np.empty(len(pooled), dtype=np.int64)
        for name, head in pipeline.heads.items():
            labels[self.tasks == name] = head(pooled[self.tasks == name]).argmax(axis=1)
        return labels


def largest_change(pipeline: Pipeline, one: Vectors, other: Vectors) -> float:
    """Of any probability of any task, before the rule."""
    heads = pipeline.heads.values()
    return max(float(np.abs(head.probabilities(one) - head.probabilities(other)).max()) for head in heads)


def measure_times(runtimes: Mapping[str, OnnxRuntime], rounds: int) -> dict[str, list[float]]:
    """Median CPU milliseconds of one call for each of `SHAPES`."""
    random = np.random.default_rng(1)
    inputs = [(random.integers(1000, 20_000, shape), np.ones(shape, dtype=np.int64)) for shape in SHAPES]
    times: dict[str, list[list[float]]] = {name: [[] for _ in SHAPES] for name in runtimes}
    for _ in range(rounds):
        for name, runtime in runtimes.items():
            for place, (ids, mask) in enumerate(inputs):
                calls = 30 if len(ids) == 1 else 2
                runtime.run(ids, mask)
                began = time.thread_time()
                for _ in range(calls):
                    runtime.run(ids, mask)
                times[name][place].append(1000 * (time.thread_time() - began) / calls)
    return {name: [statistics.median(of_shape) for of_shape in of_scheme] for name, of_scheme in times.items()}


def main() -> None:
    """Make every scheme, measure and print the table."""
    parser = argparse.ArgumentParser(description="Schemes of fewer bits for the encoder.")
    parser.add_argument("model", type=Path, help="model directory")
    parser.add_argument("data", type=Path, help="folder with <task>/<split>.tsv.gz")
    parser.add_argument("--tasks", type=Path, default=Path("configs/tasks.yaml"), help="task file (%(default)s)")
    parser.add_argument("--rows", type=int, default=500, help="test rows a task (%(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of timing (%(default)s)")
    options = parser.parse_args()
    model = ModelDirectory.open(options.model, options.tasks)
    pipeline = load_pipeline(model)
    texts = [row.text for rows in some_rows(options.data, pipeline, "train", OBSERVED_ROWS).values() for row in rows]
    batches = list(padded_batches(pipeline.tokenizer(texts)))
    rows = Rows.pick(pipeline, options.data, options.rows)
    graph = folded(model)
    runtimes: dict[str, OnnxRuntime] = {}
    cells: dict[str, list[str]] = {}
    exact: NDArray[np.int64] | None = None
    for name, scheme in all_schemes(batches).items():
        made = scheme(graph)
        runtimes[name] = open_runtime(made.SerializeToString(), model.manifest.hidden_size)
        pooled = rows.encode(runtimes[name], COMPANY)
        labels = rows.labels(pipeline, pooled)
        exact = labels if exact is None else exact
        change = largest_change(pipeline, pooled, rows.encode(runtimes[name], 1))
        accuracy, agreement = (labels == rows.truth).mean(), (labels == exact).mean()
        cells[name] = [f"{made.ByteSize() / 1e6:.0f} MB", f"{accuracy:.1%}", f"{change:.5f}", f"{agreement:.1%}"]
        print(name, *cells[name], flush=True)
    times = measure_times(runtimes, options.rounds)
    print(f"\n{len(rows.truth)} test rows")
    print(
        "| scheme | size | accuracy | alone against in a batch of 32 | top label as float32 | ms, 1x8 / 1x16 / 32x16 |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for name, of_scheme in cells.items():
        print(f"| {name} | {' | '.join(of_scheme)} | {' / '.join(f'{ms:.2f}' for ms in times[name])} |")


def open_runtime(graph: bytes, hidden_size: int) -> OnnxRuntime:
    """A session with one thread over a graph in memory, set as runtime_onnx sets it."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.inter_op_num_threads = 1
    return OnnxRuntime(onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"]), hidden_size)


if __name__ == "__main__":
    main()
