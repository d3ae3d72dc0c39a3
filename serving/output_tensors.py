"""The tensors that an inference is answered with: the scores of a task, or its highest labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph.tasks import Task
from serving.binary_tensors import write_strings


@dataclass(frozen=True)
class OutputTensor:
    """A tensor of the answer.

    Attributes:
        name: of the task.
        datatype: of the protocol, FP32 or BYTES.
        data: scores, float32 `(n, classes)`, or strings `(n, k)`.
    """

    name: str
    datatype: str
    data: NDArray[Any]

    def head(self) -> dict[str, Any]:
        """All but the data, as JSON has it."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.data.shape)}

    def json(self) -> Any:
        """The data row by row, as orjson takes it."""
        return self.data.ravel().tolist() if self.datatype == "BYTES" else self.data.ravel()

    def binary(self) -> bytes:
        """The data, as the binary tensor extension has it."""
        return write_strings(self.data.flat) if self.datatype == "BYTES" else self.data.astype("<f4").tobytes()


def output_tensor(task: Task, scores: NDArray[np.float32], classification: int | None) -> OutputTensor:
    """The answer of one task.

    Args:
        task: whose scores these are.
        scores: float32 `(n, classes)`.
        classification: answer this many labels (all, if there are fewer) and not the scores.
    """
    if classification is None:
        return OutputTensor(task.name, "FP32", scores)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :classification]
    labels = [[f"{row[i]!s}:{i}:{task.labels[i]}" for i in best] for row, best in zip(scores, order, strict=True)]
    return OutputTensor(task.name, "BYTES", np.array(labels, dtype=object).reshape(order.shape))
