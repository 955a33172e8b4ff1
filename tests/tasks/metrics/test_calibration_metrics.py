"""The calibration error is by how much scores promise more, or less, than they keep."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.metrics.calibration import BINS, calibration_error, reliability


def test_the_error_is_the_gap_weighed_by_how_many_scores_have_it():
    scores = np.float32([[0.9, 0.1]] * 8 + [[0.6, 0.4]] * 2)
    actual = np.array([[True, False]] * 4 + [[False, True]] * 4 + [[True, False]] * 2)
    assert calibration_error(scores, actual, exclusive=True) == pytest.approx(0.8 * 0.4 + 0.2 * 0.4, abs=1e-6)
    found = reliability(scores, actual, exclusive=True)
    assert found.count.sum() == 10 and found.count[int(0.9 * BINS)] == 8


def test_of_concepts_that_do_not_exclude_each_other_every_score_counts():
    scores, actual = np.float32([[0.9, 0.2]]), np.array([[True, False]])
    assert calibration_error(scores, actual, exclusive=False) == pytest.approx((0.1 + 0.2) / 2, abs=1e-6)


def test_a_score_of_one_is_in_the_last_bin():
    assert reliability(np.float32([[1.0]]), np.array([[True]]), False).count[-1] == 1
