"""Intervals of rates, against SciPy's and against how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from dexgrasp_models.evaluation.intervals import wilson
from dexgrasp_models.evaluation.summary import rate_with_interval


@pytest.mark.parametrize(("successes", "count"), [(0, 1), (1, 1), (0, 40), (39, 40), (45, 64)])
def test_is_scipys_where_successes_are_whole(successes, count):
    expected = binomtest(successes, count).proportion_ci(0.95, method="wilson")
    assert wilson(successes / count, count) == pytest.approx((expected.low, expected.high))


def test_holds_the_true_rate_as_often_as_it_says():
    for truth in (0.5, 0.8):
        counts = np.arange(65)
        holds = [low <= truth <= high for low, high in (wilson(k / 64, 64) for k in counts)]
        assert binom.pmf(counts, 64, truth)[holds].sum() == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("rate", "count"), [(1.1, 4), (-0.1, 4), (float("nan"), 4), (0.5, 0)])
def test_what_is_no_rate_is_refused(rate, count):
    with pytest.raises(ValueError, match="expected 0 to 1, of at least one"):
        wilson(rate, count)


def test_shares_of_scenes_count_as_one_trial_each():
    found = rate_with_interval([0.25, 0.75, 0.5, 0.5])
    assert found == {"mean": 0.5, "scenes": 4, **wilson(0.5, 4)._asdict()}
    alike = rate_with_interval([0.0] * 24)
    assert alike["low"] == pytest.approx(0)
    assert alike["high"] > 0.1  # that nothing was lifted says something, but not everything
    assert rate_with_interval([])["mean"] is None
