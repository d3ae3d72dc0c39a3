import shutil
from pathlib import Path

import pytest


@pytest.fixture
def model_path(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(tiny_model, tmp_path / "model")
