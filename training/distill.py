"""A teacher's answers to all tasks on every utterance, for a smaller model to learn besides the labels."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from graph.pipeline import Pipeline

# Utterances scored at once: memory stays small, and there is something to report on the way.
CHUNK = 4096
# Below this a float16 of the probability's logarithm is exact enough, and zero has none.
LEAST = 1e-6


class SoftLabels:
    """What the teacher answers, computed once an utterance.

    Args:
        teacher: the pipeline of the larger model, of the same tasks.
        report: takes a line of progress now and then.
    """

    def __init__(self, teacher: Pipeline, report: Callable[[str], None]) -> None:
        self._teacher = teacher
        self._report = report
        self._known: dict[str, NDArray[np.float16]] = {}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float16]:
        """Logarithms of the teacher's probabilities, before rules: `(n, classes of all tasks)`, in contract order."""
        new = sorted(set(texts) - self._known.keys())
        for begin in range(0, len(new), CHUNK):
            chunk = new[begin : begin + CHUNK]
            pooled = self._teacher.pooled(chunk)
            answers = [head.probabilities(pooled) for head in self._teacher.heads.values()]
            logarithms = np.log(np.maximum(np.concatenate(answers, axis=1), LEAST)).astype(np.float16)
            self._known.update(zip(chunk, logarithms, strict=True))
            self._report(f"teacher: {begin + len(chunk)}/{len(new)} utterances")
        return np.stack([self._known[text] for text in texts])
