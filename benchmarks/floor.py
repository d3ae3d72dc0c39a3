"""The floor: the bare encoder in a loop. No server can be faster with these weights and this runtime.

    python -m benchmarks.floor

No HTTP, no tokenizer, no heads, and no load generator on the same cores. A process a core, each with one thread, as
long as there is more than one utterance to share out: what the connections of a load have in flight is encoded in
equal batches on all cores.
"""

import multiprocessing
import os
import time
from dataclasses import asdict
from multiprocessing.pool import Pool

import numpy as np

from benchmarks.load import LOADS, Load, Served, utterances
from graph.encoder import Encoder, load_runtime
from graph.model_directory import ModelDirectory
from graph.tokenizer import TokenBatch, Tokenizer
from serving.settings import Settings

CORES = len(os.sched_getaffinity(0))

_encoder: Encoder
_tokens: TokenBatch


def measure(load: Load, seconds: float) -> Served:
    """Encode on all cores for so long what a load has in flight."""
    in_flight = load.connections * load.utterances
    processes = min(CORES, in_flight)
    size = in_flight // processes
    # Spawned: a fork would take along the threads and locks of whoever calls.
    with multiprocessing.get_context("spawn").Pool(processes, _open) as pool:
        times = _loop(pool, processes, size, seconds)
    rate = size * sum(len(of_one) / sum(of_one) for of_one in times)
    calls = np.concatenate([np.array(of_one) for of_one in times]) * 1e3
    return Served(float(np.median(calls)), float(np.percentile(calls, 99)), rate / load.utterances, rate, errors=0)


def _loop(pool: Pool, processes: int, size: int, seconds: float) -> list[list[float]]:
    pool.starmap(_encode, [(size, 0.5)] * processes, chunksize=1)
    return pool.starmap(_encode, [(size, seconds)] * processes, chunksize=1)


def _open() -> None:
    global _encoder, _tokens
    model = ModelDirectory.open(Settings().model_path, Settings().tasks_path)
    _encoder = Encoder(load_runtime(Settings().runtime, model, threads=1))
    _tokens = Tokenizer(model.file("tokenizer.json"), Settings().max_tokens)(utterances())


def _encode(size: int, seconds: float) -> list[float]:
    """Seconds of each call."""
    rows = [row.tolist() for row in np.split(_tokens.ids, _tokens.starts[1:])]
    batches = [TokenBatch.from_rows(rows[i : i + size]) for i in range(0, len(rows) - size + 1, size)]
    times: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        _encoder(batches[len(times) % len(batches)])
        times.append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    for each in LOADS:
        print(each, asdict(measure(each, seconds=3)))
