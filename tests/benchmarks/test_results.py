from pathlib import Path

from benchmarks.load import Load
from benchmarks.results import Results, Spread
from tests.benchmarks.results import results


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    written = results(split=100, fused=200)
    written.write(tmp_path / "new" / "compare.json")
    assert Results.read(tmp_path / "new" / "compare.json") == written


def test_a_figure_is_the_median_over_the_rounds_with_the_lowest_and_the_highest() -> None:
    assert results(split=100).served("split", Load(128, 1), "requests_s") == Spread(100, 50, 200)
    assert results(split=100).overall("split", "memory_mb") == Spread(800, 800, 800)


def test_who_did_not_run_has_no_figure() -> None:
    measured = results(split=100)
    assert measured.served("fused", Load(1, 1), "p50_ms") is None
    assert measured.served("split", Load(7, 7), "p50_ms") is None
    assert measured.overall("fused", "memory_mb") is None
    assert measured.bare(Load(7, 7), "p50_ms") is None


def test_a_spread_shows_as_many_digits_as_it_has_meaning() -> None:
    assert str(Spread(1234.4, 999.6, 2000)) == "1,234 (1,000-2,000)"
    assert str(Spread(12.34, 9.87, 20)) == "12.3 (9.9-20.0)"
    assert str(Spread(1.234, 1.1, 1.5)) == "1.23 (1.10-1.50)"
    assert str(Spread(3, 3, 3)) == "3"
    assert str(Spread(0, 0, 12)) == "0 (0-12)"
