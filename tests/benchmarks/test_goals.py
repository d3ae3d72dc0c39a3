import pytest

from benchmarks.goals import Goal, goals
from tests.benchmarks.results import results


def goal(each: list[Goal], figure: str, placement: str) -> Goal:
    (found,) = (one for one in each if one.figure.startswith(figure) and one.placement == placement)
    return found


def test_ratios_are_of_medians() -> None:
    each = list(goals(results(split=900, fused=1200, original=100)))
    many = goal(each, "requests/s at 128 connections, against the original", "split")
    assert many.measured == pytest.approx(9)
    assert many.reached is False
    assert goal(each, "requests/s at 128 connections, against the original", "fused").reached is True
    alone = goal(each, "p50 at 1 connection, against the original", "fused")
    assert alone.measured == pytest.approx(1 / 12)
    assert alone.reached is True
    assert goal(each, "utterances/s in bulk", "split").measured == pytest.approx(90)


def test_the_best_peer_with_the_same_file_is_the_measure_and_is_named() -> None:
    each = list(goals(results(split=900, fused=900, litserve=600, bentoml=800)))
    some = goal(each, "requests/s at 32 connections", "split")
    assert some.measured == pytest.approx(900 / 800)
    assert "(bentoml)" in some.figure
    assert goal(each, "p50 at 1 connection, against the best peer", "fused").measured == pytest.approx(800 / 900)


def test_torch_peers_are_no_measure_for_the_same_file() -> None:
    each = list(goals(results(split=900, original=100, fastapi_torch=5000)))
    assert goal(each, "requests/s at 32 connections", "split").reached is None


def test_a_limit_itself_is_reached() -> None:
    assert Goal("f", "split", measured=10.0, limit=10.0, at_least=True, unit="s").reached is True
    assert Goal("f", "split", measured=10.0, limit=10.0, at_least=False, unit="s").reached is True


def test_what_was_not_measured_is_not_reached_either() -> None:
    each = list(goals(results(packed=100)))
    assert {one.reached for one in each if one.placement != "packed"} == {None}
    assert goal(each, "memory", "packed").measured == pytest.approx(0.8)
