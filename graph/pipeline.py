"""The whole graph in one process. It is the definition of correct: what is served must return these numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph.encoder import Encoder, RuntimeChoice, load_runtime
from graph.heads import Head, load_heads
from graph.merge import Annotation, merge
from graph.model_directory import ModelDirectory
from graph.tasks import Task
from graph.tokenizer import DEFAULT_MAX_TOKENS, Tokenizer


@dataclass(frozen=True)
class Pipeline:
    """Tokenizer, encoder, heads and merge, one after the other.

    Attributes:
        tasks: in contract order.
        tokenizer: text to tokens.
        encoder: tokens to pooled vectors.
        heads: pooled vectors to probabilities, by task name.
    """

    tasks: tuple[Task, ...]
    tokenizer: Tokenizer
    encoder: Encoder
    heads: Mapping[str, Head]

    def __call__(self, texts: Sequence[str]) -> list[Annotation]:
        """Annotate n utterances, at full precision."""
        return merge(self.tasks, self.probabilities(texts))

    def probabilities(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """What the heads answer: task name to `(n, classes)`, after the rule."""
        pooled = self.pooled(texts)
        return {name: head(pooled) for name, head in self.heads.items()}

    def pooled(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """What the encoder answers: `(n, hidden_size)`."""
        return self.encoder(self.tokenizer(texts))


def load_pipeline(
    model: ModelDirectory,
    runtime: RuntimeChoice = "auto",
    max_tokens: int = DEFAULT_MAX_TOKENS,
    threads: int = 1,
) -> Pipeline:
    """Compose the pipeline of a model directory.

    Args:
        model: an opened model directory.
        runtime: which encoder runtime, see `graph.encoder.chosen_runtime`.
        max_tokens: token limit an utterance.
        threads: CPU threads of the encoder.
    """
    return Pipeline(
        tasks=model.tasks,
        tokenizer=Tokenizer(model.file("tokenizer.json"), max_tokens),
        encoder=Encoder(load_runtime(runtime, model, threads)),
        heads=load_heads(model),
    )
