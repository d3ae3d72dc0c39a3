from pathlib import Path

import pytest

from tests.tiny import tiny_recipe
from training.schedule import Schedule, Standing


def schedule(warmup_steps: int = 0, **plateau: float) -> Schedule:
    recipe = tiny_recipe(Path("base"), warmup_steps=warmup_steps, plateau=plateau or None)
    return Schedule(recipe, Standing())


def test_without_a_plateau_the_rate_rises_and_then_falls_to_zero() -> None:
    shares = [schedule(warmup_steps=4).share(step, total=12) for step in range(13)]
    assert shares[:4] == [0.25, 0.5, 0.75, 1]
    assert shares[4:] == [1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0]
    assert schedule().share(0, total=1) == 1


def test_without_a_plateau_a_run_never_ends_early() -> None:
    linear = schedule()
    assert linear.validated(0.5)
    assert not any(linear.validated(0.4) for _ in range(20))
    assert not linear.ended


def test_the_rate_is_halved_after_two_validations_without_a_better_score_twice_at_most() -> None:
    plateau = schedule(patience=2, stop_after=100)
    plateau.validated(0.5)
    shares = []
    for _ in range(8):
        plateau.validated(0.5)
        shares.append(plateau.share(10, total=1000))
    assert shares == [1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.25]


def test_a_better_score_starts_the_patience_anew() -> None:
    plateau = schedule(patience=2)
    for score in (0.5, 0.4, 0.6, 0.5):
        plateau.validated(score)
    assert plateau.share(10, total=1000) == 1


def test_three_validations_without_a_better_score_end_the_run() -> None:
    plateau = schedule(stop_after=3)
    for score in (0.5, 0.6, 0.6, 0.5):
        plateau.validated(score)
        assert not plateau.ended
    plateau.validated(0.1)
    assert plateau.ended


def test_the_standing_of_a_checkpoint_goes_on() -> None:
    first = schedule(patience=2)
    for score in (0.5, 0.4, 0.4):
        first.validated(score)
    standing = Standing(**first.standing.plain())  # type: ignore[arg-type]
    assert Schedule(tiny_recipe(Path("base"), plateau={}), standing).share(10, total=1000) == 0.5
    assert standing.best == pytest.approx(0.5)
