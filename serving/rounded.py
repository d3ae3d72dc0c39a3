"""Annotations as the original writes them: JSON text with probabilities rounded to two decimals.

There are only 101 such numbers, and all else in an annotation is always the same. So a row is a template filled with
ready-made numbers: a third of what dictionaries and a JSON library take, and the same bytes.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import orjson

from graph.tasks import Task
from serving.trips import Probabilities

_NUMBERS = np.array([orjson.dumps(hundredths / 100).decode() for hundredths in range(101)], dtype=object)


def rounded_json(tasks: Sequence[Task], probabilities: Probabilities) -> list[str]:
    """Write n annotations.

    Args:
        tasks: in contract order.
        probabilities: float32 `(n, classes)` a task, after its rule.

    Returns:
        n JSON objects: task to label to probability.
    """
    template = _template(tuple((task.name, task.labels) for task in tasks))
    scores = np.concatenate([probabilities[task.name] for task in tasks], axis=1, dtype=np.float64)
    rows = _NUMBERS[np.rint(100 * scores).astype(np.intp)].tolist()
    return [template % tuple(row) for row in rows]


@lru_cache(maxsize=8)
def _template(tasks: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    members = [
        f"{_literal(name)}:{{{','.join(f'{_literal(label)}:%s' for label in labels)}}}" for name, labels in tasks
    ]
    return f"{{{','.join(members)}}}"


def _literal(name: str) -> str:
    """A JSON string, in a template where % is special."""
    return orjson.dumps(name).decode().replace("%", "%%")
