"""Whether a contestant answers what the pipeline answers: a benchmark of wrong answers is worth nothing."""

import json
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from benchmarks.contestants import Contestant
from graph.merge import Annotation
from graph.model_directory import ModelDirectory
from graph.pipeline import load_pipeline
from serving.settings import Settings

# Answers are rounded to two decimals, which changes a score by half of 0.01; the rest is for other arithmetic.
TOLERANCE = 0.0051
# A server without a limit works off what a load has left behind before it looks at the next request.
TIMEOUT_S = 300


class WrongAnswers(Exception):
    """A contestant does not answer what the pipeline answers."""


@dataclass(frozen=True)
class Examination:
    """Texts and what a contestant should say of them.

    Attributes:
        contestant: who is asked.
        texts: each is sent alone, and then all of them in one request.
    """

    contestant: Contestant
    texts: Sequence[str]

    @cached_property
    def _model(self) -> ModelDirectory:
        return ModelDirectory.open(self.contestant.model, Settings().tasks_path)

    @cached_property
    def _expected(self) -> list[Annotation]:
        return load_pipeline(self._model, self.contestant.runtime, Settings().max_tokens)(self.texts)

    def hold(self) -> float:
        """Ask.

        Returns:
            The largest difference of a score from the pipeline's.

        Raises:
            WrongAnswers: it is more than rounding explains, or an answer has other tasks or labels.
        """
        alone = [annotation for text in self.texts for annotation in self.ask([text])]
        return max(self._difference(alone), self._difference(self.ask(self.texts)))

    def ask(self, texts: Sequence[str]) -> list[Annotation]:
        """One request."""
        dialect = self.contestant.dialect
        request = urllib.request.Request(
            self.contestant.url, dialect.body(texts).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return dialect.read(json.load(answer), self._model.tasks)

    def _difference(self, answered: Sequence[Annotation]) -> float:
        if len(answered) != len(self.texts):
            raise WrongAnswers(f"{self.contestant.name}: {len(answered)} annotations of {len(self.texts)} texts")
        differences = (difference(expected, given) for expected, given in zip(self._expected, answered, strict=True))
        largest = max(differences)
        if largest > TOLERANCE:
            raise WrongAnswers(f"{self.contestant.name}: a score differs by {largest:.4f} from the pipeline's")
        return largest


def difference(expected: Annotation, given: Annotation) -> float:
    """The largest of any score; infinite if tasks or labels are others."""
    if {task: set(scores) for task, scores in expected.items()} != {t: set(scores) for t, scores in given.items()}:
        return float("inf")
    return max(abs(score - given[task][label]) for task, scores in expected.items() for label, score in scores.items())
