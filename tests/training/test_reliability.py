from pathlib import Path

import numpy as np
import pytest

from training.reliability import BINS, Reliability, draw


def of(*answers: tuple[float, bool]) -> Reliability:
    confidence, right = zip(*answers, strict=True)
    return Reliability.of(np.array(confidence), np.array(right))


def test_the_error_is_that_computed_by_hand() -> None:
    # One bin holds 0.95 right and 0.97 wrong, another 0.5 right: 2/3 * |0.96 - 0.5| + 1/3 * |0.5 - 1|
    assert of((0.95, True), (0.97, False), (0.5, True)).error == pytest.approx(2 / 3 * 0.46 + 1 / 3 * 0.5)


def test_answers_as_sure_as_they_are_right_have_no_error() -> None:
    assert of((0.75, True), (0.75, True), (0.75, True), (0.75, False)).error == pytest.approx(0)
    assert of((1.0, True), (0.0, False)).error == pytest.approx(0)


def test_opposite_errors_in_different_bins_do_not_cancel() -> None:
    assert of((0.9, False), (0.1, True)).error == pytest.approx(0.9)


def test_every_answer_falls_into_one_bin_and_an_edge_belongs_to_the_bin_below() -> None:
    bins = of(*((edge / BINS, True) for edge in range(BINS + 1)))
    assert bins.share.sum() == pytest.approx(1)
    np.testing.assert_allclose(bins.share * (BINS + 1), [2, *[1] * (BINS - 1)])


def test_a_diagram_is_a_png(tmp_path: Path) -> None:
    draw("mood", of((0.9, True)), of((0.8, True)), tmp_path / "mood.png")
    assert (tmp_path / "mood.png").read_bytes().startswith(b"\x89PNG")
