"""Pooled vectors to the probabilities of one task: a matrix product, temperature, softmax or sigmoid, then the rule."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph.errors import ModelError
from graph.model_directory import ModelDirectory
from graph.tasks import Task


@dataclass(frozen=True)
class Head:
    """The linear layer of one task.

    Attributes:
        task: whose head it is.
        weight: float32 `(classes, hidden_size)`.
        bias: float32 `(classes,)`.
        temperature: logits are divided by it (Guo et al. 2017, "On Calibration of Modern Neural Networks").
    """

    task: Task
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float = 1.0

    def __call__(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """From `(n, hidden_size)` to `(n, classes)`, after the rule: what is served."""
        return apply_rule(self.task, self.probabilities(pooled))

    def probabilities(self, pooled: NDArray[np.float32], temperature: float | None = None) -> NDArray[np.float32]:
        """From `(n, hidden_size)` to `(n, classes)`, before the rule; `temperature` in place of the head's own."""
        # einsum and not @: BLAS picks another kernel, and so another rounding, for a single row than for many,
        # while an utterance's scores may not depend on how many travel with it.
        logits = (np.einsum("nh,ch->nc", pooled, self.weight) + self.bias) / np.float32(temperature or self.temperature)
        return softmax(logits) if self.task.kind == "single" else sigmoid(logits)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Row-wise softmax of `(n, classes)`; each row sums to 1."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float32] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return shares


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Element-wise logistic function, without overflow at either end."""
    shares: NDArray[np.float32] = np.float32(0.5) * (np.float32(1) + np.tanh(np.float32(0.5) * logits))
    return shares


def apply_rule(task: Task, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """The task's rule on `(n, classes)`; a task without one gets its probabilities back."""
    if task.rule is None:
        return probabilities
    drop = task.rule.drop_below
    column = task.labels.index(drop.label)
    dropped = probabilities[:, column] < drop.threshold
    ruled = probabilities.copy()
    ruled[dropped, column] = 0
    ruled[dropped] /= ruled[dropped].sum(axis=1, keepdims=True)
    return ruled


def load_heads(model: ModelDirectory) -> dict[str, Head]:
    """All heads of a model directory by task name, in contract order.

    Raises:
        ModelError: a task has no weight, bias or temperature.
    """
    tensors = model.load_tensors("heads.safetensors")
    try:
        return {
            task.name: Head(
                task,
                weight=tensors[f"{task.name}.weight"],
                bias=tensors[f"{task.name}.bias"],
                temperature=model.manifest.temperatures[task.name],
            )
            for task in model.tasks
        }
    except KeyError as error:
        raise ModelError(f"model directory {model.path}: no weight, bias or temperature named {error}") from error
