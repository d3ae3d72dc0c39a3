"""Token ids to one pooled vector an utterance.

Here stands what is the same for every runtime: rows sorted by length, padded sub-batches under a token budget,
and the order restored. What multiplies matrices is a `Runtime`; see runtime_onnx.py, runtime_onnx_int8.py
and runtime_torch.py.
"""

import importlib
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from graph.model_directory import INT8_ENCODER, ModelDirectory
from graph.tokenizer import TokenBatch

RuntimeName = Literal["onnx-int8", "onnx", "torch"]
RuntimeChoice = Literal["auto", "onnx-int8", "onnx", "torch"]

# Tokens, padding included, in one call of the runtime. Larger sub-batches gain nothing on a CPU: its caches are
# full by then.
TOKEN_BUDGET = 1024

# What a call of the runtime costs besides its tokens, in tokens (one takes 55 µs). Anything from 4 to 20 does as well.
CALL_COST = 6


class Runtime(Protocol):
    """A loaded encoder that takes padded rows."""

    hidden_size: int

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Encode.

        Args:
            ids: int64 `(rows, width)`, padded with anything.
            mask: int64 `(rows, width)`, 1 for a token and 0 for padding.

        Returns:
            float32 `(rows, hidden_size)`, pooled, tanh included.
        """
        ...


def chosen_runtime(choice: RuntimeChoice, model: ModelDirectory) -> RuntimeName:
    """Which runtime a choice means: `auto` is 8 bits where the model directory has them, and float32 elsewhere.

    Where it has them, they cost next to nothing: `training.quantize` says how much.
    """
    if choice == "auto":
        return "onnx-int8" if INT8_ENCODER in model.manifest.files else "onnx"
    return choice


def load_runtime(choice: RuntimeChoice, model: ModelDirectory, threads: int = 1) -> Runtime:
    """Load the encoder of a model directory; only the module of the runtime that is meant is imported."""
    module = importlib.import_module(f"graph.runtime_{chosen_runtime(choice, model).replace('-', '_')}")
    runtime: Runtime = module.load(model, threads)
    return runtime


class Encoder:
    """Pools utterances of any lengths with a runtime that wants rectangles.

    Args:
        runtime: what computes.
        token_budget: tokens a sub-batch may have, padding included. A row alone may exceed it.
    """

    def __init__(self, runtime: Runtime, token_budget: int = TOKEN_BUDGET) -> None:
        self._runtime = runtime
        self._token_budget = token_budget

    def __call__(self, tokens: TokenBatch) -> NDArray[np.float32]:
        """Returns float32 `(n, hidden_size)`, row i for utterance i, whatever its neighbours are."""
        pooled = np.empty((len(tokens), self._runtime.hidden_size), dtype=np.float32)
        for rows in plan_sub_batches(tokens.lengths, self._token_budget):
            pooled[rows] = self._runtime.run(*tokens.padded(rows))
        return pooled


def plan_sub_batches(lengths: NDArray[np.int32], token_budget: int) -> list[NDArray[np.intp]]:
    """Which rows are encoded together, so that little is computed in vain.

    Every row of a sub-batch is padded to its longest. One sub-batch for all pads much; one for each length pads
    nothing and makes many calls. The shortest path over the lengths that occur finds the cheapest way between, where
    the budget does not forbid it; a group of lengths that exceeds the budget is cut into as few calls as it allows.

    Args:
        lengths: int32 `(n,)`.
        token_budget: most tokens of a sub-batch, padding included; a row alone may exceed it.

    Returns:
        Row numbers, shortest rows first; together each row once.
    """
    order = np.argsort(lengths, kind="stable")
    found, counts = np.unique(lengths, return_counts=True)
    widths, ends = found.tolist(), [0, *np.cumsum(counts).tolist()]
    # Of the rows up to the j-th width: the least cost, and at which width their last group begins.
    costs, begins = [0], [0]
    for j, width in enumerate(widths, start=1):
        most = max(1, token_budget // width)
        tried = [
            costs[i] + rows * width + CALL_COST * -(-rows // most)
            for i, rows in enumerate(ends[j] - end for end in ends[:j])
        ]
        costs.append(min(tried))
        begins.append(tried.index(costs[-1]))
    batches: list[NDArray[np.intp]] = []
    j = len(widths)
    while j:
        begin, end, most = ends[begins[j]], ends[j], max(1, token_budget // widths[j - 1])
        batches[:0] = [order[i : min(i + most, end)] for i in range(begin, end, most)]
        j = begins[j]
    return batches
