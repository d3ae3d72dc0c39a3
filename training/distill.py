"""The teachers' answers to all tasks on every utterance, for a model to learn besides the labels."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from graph.pipeline import Pipeline

# Utterances scored at once: memory stays small, and there is something to report on the way.
CHUNK = 4096
# Below this a float16 of the probability's logarithm is exact enough, and zero has none.
LEAST = 1e-6


class SoftLabels:
    """What the teachers answer, in the mean, computed once an utterance.

    Args:
        teachers: pipelines of the same tasks.
        report: takes a line of progress now and then.
    """

    def __init__(self, teachers: Sequence[Pipeline], report: Callable[[str], None]) -> None:
        self._teachers = teachers
        self._report = report
        self._known: dict[str, NDArray[np.float16]] = {}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float16]:
        """Logarithms of the mean probabilities, before rules: `(n, classes of all tasks)`, in contract order."""
        new = sorted(set(texts) - self._known.keys())
        for begin in range(0, len(new), CHUNK):
            chunk = new[begin : begin + CHUNK]
            mean = np.mean([_answers(teacher, chunk) for teacher in self._teachers], axis=0)
            logarithms = np.log(np.maximum(mean, LEAST)).astype(np.float16)
            self._known.update(zip(chunk, logarithms, strict=True))
            self._report(f"teacher: {begin + len(chunk)}/{len(new)} utterances")
        return np.stack([self._known[text] for text in texts])


def _answers(teacher: Pipeline, texts: Sequence[str]) -> NDArray[np.float32]:
    pooled = teacher.pooled(texts)
    return np.concatenate([head.probabilities(pooled) for head in teacher.heads.values()], axis=1)
