"""The shipped model, for a peer: the same files through the same code as ours, so that the work is the same."""

from pathlib import Path

from graph.encoder import RuntimeChoice
from graph.merge import Annotation
from graph.model_directory import ModelDirectory
from graph.pipeline import Pipeline, load_pipeline

PROJECT = Path(__file__).parent.parent.parent


def load(threads: int, runtime: RuntimeChoice = "auto") -> Pipeline:
    """The pipeline with so many threads for its encoder."""
    model = ModelDirectory.open(PROJECT / "models" / "lite", PROJECT / "configs" / "tasks.yaml")
    return load_pipeline(model, runtime, threads=threads)


def rounded(annotations: list[Annotation]) -> list[Annotation]:
    """Scores to two decimals, as the original answers."""
    return [
        {task: {label: round(score, 2) for label, score in scores.items()} for task, scores in annotation.items()}
        for annotation in annotations
    ]
