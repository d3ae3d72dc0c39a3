from pathlib import Path

import numpy as np
import pytest

from graph.merge import merge
from graph.model_directory import ModelDirectory
from graph.pipeline import Pipeline, load_pipeline
from graph.tasks import load_tasks
from tests import TASKS_FILE

TEXTS = ["Dog?", "we eat the cheese here today.", "", "the lamp on the moon", "x" * 300]


def test_the_pipeline_is_tokenizer_encoder_heads_and_merge(tiny_pipeline: Pipeline) -> None:
    pooled = tiny_pipeline.encoder(tiny_pipeline.tokenizer(TEXTS))
    probabilities = {name: head(pooled) for name, head in tiny_pipeline.heads.items()}
    assert np.array_equal(tiny_pipeline.pooled(TEXTS), pooled)
    assert tiny_pipeline(TEXTS) == merge(tiny_pipeline.tasks, probabilities)


def test_an_annotation_is_a_distribution_a_task_in_contract_order(tiny_pipeline: Pipeline) -> None:
    tasks = load_tasks(TASKS_FILE)
    for annotation in tiny_pipeline(TEXTS):
        assert [(name, tuple(scores)) for name, scores in annotation.items()] == [
            (task.name, task.labels) for task in tasks
        ]
        for scores in annotation.values():
            assert sum(scores.values()) == pytest.approx(1, abs=1e-5)


def test_no_utterances_make_no_annotations(tiny_pipeline: Pipeline) -> None:
    assert tiny_pipeline([]) == []


def test_the_token_limit_is_that_of_the_caller(tiny_model: Path, tiny_pipeline: Pipeline) -> None:
    short = load_pipeline(ModelDirectory.open(tiny_model, TASKS_FILE), max_tokens=4)
    assert short(["dog eagle fish guitar"]) == short(["dog eagle"]) == tiny_pipeline(["dog eagle"])


def test_both_runtimes_annotate_alike(tiny_model: Path, tiny_pipeline: Pipeline) -> None:
    in_torch = load_pipeline(ModelDirectory.open(tiny_model, TASKS_FILE), runtime="torch")
    np.testing.assert_allclose(in_torch.pooled(TEXTS), tiny_pipeline.pooled(TEXTS), rtol=0, atol=1e-4)
