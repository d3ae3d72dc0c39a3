from pathlib import Path

import pytest

from graph.model_directory import ModelDirectory
from tests import ROOT, TASKS_FILE
from training.by_origin import main, table


def test_the_card_shows_the_scores_of_the_manifests() -> None:
    models = [ModelDirectory.open(ROOT / "models" / name, TASKS_FILE) for name in ("full", "lite")]
    assert table(models) + "\n" == (ROOT / "models" / "SCORES.md").read_text("utf-8")


def test_a_model_without_scores_is_told_in_one_line(tiny_model: Path) -> None:
    with pytest.raises(SystemExit, match=r"no table: .* has no test scores of"):
        main([str(tiny_model)])
    with pytest.raises(SystemExit, match=r"no table: .*none"):
        main([str(tiny_model / "none")])
    with pytest.raises(SystemExit, match="scored on other rows"):
        main([str(ROOT / "models" / "lite"), str(tiny_model)])
