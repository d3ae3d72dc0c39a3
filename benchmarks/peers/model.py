"""The shipped model, for a peer: the same files, the same tokenizer and heads, and batches as a script makes them."""

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graph.encoder import Encoder, RuntimeChoice, load_runtime
from graph.merge import Annotation
from graph.model_directory import ModelDirectory
from graph.pipeline import Pipeline, load_pipeline
from graph.tokenizer import TokenBatch

PROJECT = Path(__file__).parent.parent.parent


class PaddedEncoder(Encoder):
    """One call for a batch, every row padded to the longest, as the documentation of tokenizers and models shows."""

    def __call__(self, tokens: TokenBatch) -> NDArray[np.float32]:
        """Returns float32 `(n, hidden_size)`."""
        return self._runtime.run(*tokens.padded(np.arange(len(tokens))))


def load(threads: int, runtime: RuntimeChoice = "auto") -> Pipeline:
    """The pipeline with so many threads for its encoder."""
    model = ModelDirectory.open(PROJECT / "models" / "lite", PROJECT / "configs" / "tasks.yaml")
    pipeline = load_pipeline(model, runtime, threads=threads)
    return dataclasses.replace(pipeline, encoder=PaddedEncoder(load_runtime(runtime, model, threads)))


def rounded(annotations: list[Annotation]) -> list[Annotation]:
    """Scores to two decimals, as the original answers."""
    return [
        {task: {label: round(score, 2) for label, score in scores.items()} for task, scores in annotation.items()}
        for annotation in annotations
    ]
