"""Fixtures that more than one folder of tests uses."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests import TASKS_FILE

if TYPE_CHECKING:
    from graph.pipeline import Pipeline

# How long an example takes says more about the machine's other work than about the program.
settings.register_profile("annotator", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("annotator")

# Imports stand inside the fixtures: tests.tiny needs torch and transformers, which cost seconds.


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory with random weights for the real task file. Shared: copy it before you alter it."""
    from tests.tiny import write_tiny_model

    path = tmp_path_factory.mktemp("models") / "tiny"
    write_tiny_model(path, TASKS_FILE)
    return path


@pytest.fixture(scope="session")
def tiny_int8_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny_model` with an 8-bit encoder beside the other. Shared: copy it before you alter it."""
    from graph.model_directory import ModelDirectory
    from tests.tiny import random_tokens
    from training.int8 import folded, observe, quantized
    from training.quantize import padded_batches, write_int8

    path = shutil.copytree(tiny_model, tmp_path_factory.mktemp("models") / "tiny_int8")
    model = ModelDirectory.open(path, TASKS_FILE)
    encoder = folded(model)
    write_int8(model, quantized(encoder, observe(encoder, padded_batches(random_tokens(seed=2)))))
    return path


@pytest.fixture(scope="session")
def tiny_pipeline(tiny_model: Path) -> "Pipeline":
    """The pipeline of `tiny_model` in one process: what a served answer is held against."""
    from graph.model_directory import ModelDirectory
    from graph.pipeline import load_pipeline

    return load_pipeline(ModelDirectory.open(tiny_model, TASKS_FILE))


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small `tokenizer.json`."""
    from tests.tiny import write_tokenizer

    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    write_tokenizer(path)
    return path


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT to train from. Shared: copy it before you alter it."""
    from tests.tiny import write_base

    path = tmp_path_factory.mktemp("base")
    write_base(path)
    return path
