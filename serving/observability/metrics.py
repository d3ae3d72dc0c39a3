"""What is counted and measured, for Prometheus: metrics of Ray, which each node exports for all of its replicas.

Names get the prefix `ray_` when they are exported, counters the suffix `_total`. Labels come from this program alone:
nothing that a client writes becomes one. Of a histogram Ray exports exact counts, but a sum that it estimates from the
buckets: what must be summed has a counter. A measurement costs about 3 µs, so those of stages are made once a batch.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from ray.util.metrics import Counter, Gauge, Histogram

SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]
SIZES = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]

_request_seconds = Histogram(
    "annotator_request_seconds", "From a request to its answer, by route and status.", SECONDS, ("route", "status")
)
_errors = Counter("annotator_errors", "Requests that were answered with an error, by its type.", ("type",))
_stage_seconds = Histogram(
    "annotator_stage_seconds", "What a batch spent in a stage, a hop or waiting, by stage.", SECONDS, ("stage",)
)
_batch_utterances = Histogram("annotator_batch_utterances", "Utterances in a batch.", SIZES)
_utterances = Counter("annotator_utterances", "Utterances that were annotated.")
_tokens = Counter("annotator_tokens", "Their tokens, special ones included.")
_truncated = Counter("annotator_truncated_utterances", "Utterances with more tokens than the limit.")
_waiting = Gauge("annotator_waiting_utterances", "Utterances in the queue of an ingress replica.")


def count_request(route: str, status: int, seconds: float) -> None:
    """Note a request that has been answered."""
    _request_seconds.observe(seconds, {"route": route, "status": str(status)})


def count_error(kind: str) -> None:
    """Note an answer that is an error; `kind` is its type in the answer."""
    _errors.inc(1, {"type": kind})


def count_batch(seconds: Mapping[str, float], tokens: NDArray[np.int32], uncut: NDArray[np.int32]) -> None:
    """Note a batch that has come back.

    Args:
        seconds: by stage.
        tokens: int32 `(n,)`, a number an utterance.
        uncut: int32 `(n,)`, what it would be without the limit.
    """
    for stage, duration in seconds.items():
        _stage_seconds.observe(duration, {"stage": stage})
    _batch_utterances.observe(len(tokens))
    _utterances.inc(len(tokens))
    _tokens.inc(int(tokens.sum()))
    cut = int((uncut > tokens).sum())
    if cut:
        _truncated.inc(cut)


def show_waiting(utterances: int) -> None:
    """Set how many utterances are in this replica's queue."""
    _waiting.set(utterances)
