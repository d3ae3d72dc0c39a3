from pathlib import Path

from benchmarks.plot import draw
from benchmarks.tables import all_tables
from tests.benchmarks.results import results


def test_every_contestant_has_a_row_in_every_table() -> None:
    text = all_tables(results(split=100, litserve=50))
    assert text.count("| title of split |") == text.count("| title of litserve |") == 6
    assert "| title of split | 10 (5-20) | 20 (10-40) | 100 (50-200) | 100 (50-200) | 0 |" in text
    assert text.count("| the bare encoder in a loop |") == 5
    assert "2 cores of a processor, 16 GB" in text


def test_a_floor_that_dropped_out_has_no_figures_and_the_others_have() -> None:
    measured = results(split=100)
    measured.floor.clear()
    measured.about["failed"] = {"floor": "no memory"}
    text = all_tables(measured)
    assert "Dropped out: the bare encoder in a loop. no memory" in text
    assert "| the bare encoder in a loop |" not in text
    assert "| title of split | 10 (5-20) |" in text
    assert "against the bare encoder on all cores | split | - | ≥ 60 % | not measured |" in text


def test_goals_are_said_to_be_reached_missed_or_not_measured() -> None:
    text = all_tables(results(split=900, original=100))
    assert "against the original | split | 9.00 times | ≥ 10 times | **no** |" in text
    assert "against the original | split | 0.11 times | ≤ 1 times | yes |" in text
    assert "against the original | fused | - | ≥ 12 times | not measured |" in text


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    draw(results(split=100, litserve=50), tmp_path / "new" / "compare.png")
    assert (tmp_path / "new" / "compare.png").read_bytes().startswith(b"\x89PNG")
