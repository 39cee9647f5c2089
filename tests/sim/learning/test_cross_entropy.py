"""The cross-entropy method finds optima that are known, and doesn't without its elites."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_learning.cross_entropy import Belief, CrossEntropyConfig, drawn, fitted, searched

OPTIMA = np.array([[0.5, -0.3, 0.0, 0.8], [-0.6, 0.2, 0.9, -0.1]])
"""Of two searches side by side."""
START = Belief(np.zeros((2, 4)), np.full((2, 4), 0.5))
CONFIG = CrossEntropyConfig(samples=64, elites=8, iterations=25, kept=0.1, least_deviation=1e-4)


def bowl(tried: np.ndarray) -> np.ndarray:
    """A quadratic whose curvature differs from number to number; its optimum is 0."""
    return -((tried - OPTIMA[:, None]) ** 2 @ np.array([1.0, 4.0, 0.5, 2.0]))


def found(config: CrossEntropyConfig, score=bowl, belief: Belief = START, seed: int = 0):
    return searched(belief, score, config, np.random.default_rng(seed))


def test_the_optimum_of_a_quadratic_is_found():
    result = found(CONFIG)
    assert result.best == pytest.approx(OPTIMA, abs=0.01)
    assert result.belief.mean == pytest.approx(OPTIMA, abs=0.01)
    assert result.scores == pytest.approx(0.0, abs=1e-4)
    again = found(CONFIG)
    assert np.array_equal(again.best, result.best)


def test_without_choosing_elites_nothing_is_found():
    everyone = CrossEntropyConfig(samples=64, elites=64, iterations=25, kept=0.1)
    assert np.abs(found(everyone).belief.mean - OPTIMA).max() > 0.3


def test_an_optimum_beyond_the_bounds_is_looked_for_at_them():
    result = found(CONFIG, lambda tried: tried[:, :, 0] - np.abs(tried[:, :, 1:]).sum(axis=2))
    assert result.best[:, 0] == pytest.approx(1.0, abs=1e-3)
    assert np.abs(result.best).max() <= 1.0


def test_what_has_no_deviation_stays():
    fixed = Belief(START.mean, START.deviation * np.array([1.0, 0.0, 1.0, 0.0]))
    result = found(CONFIG, belief=fixed)
    assert np.array_equal(result.best[:, [1, 3]], np.zeros((2, 2)))
    assert result.best[:, [0, 2]] == pytest.approx(OPTIMA[:, [0, 2]], abs=0.15)


def test_it_is_never_worse_than_what_it_began_with():
    few = CrossEntropyConfig(samples=2, elites=1, iterations=1)
    at_optimum = Belief(OPTIMA, START.deviation)
    assert np.array_equal(found(few, belief=at_optimum).best, OPTIMA)
    assert np.array_equal(drawn(at_optimum, 3, np.random.default_rng(0))[:, 0], OPTIMA)


def test_what_cannot_be_scored_counts_for_nothing():
    def spoiled(tried: np.ndarray) -> np.ndarray:
        return np.where(tried[:, :, 0] > OPTIMA[:, None, 0], np.nan, bowl(tried))

    result = found(CONFIG, spoiled)
    assert np.isfinite(result.scores).all()
    assert (result.best[:, 0] <= OPTIMA[:, 0]).all()
    nothing = found(CONFIG, lambda tried: np.full(tried.shape[:2], np.nan))
    assert np.array_equal(nothing.best, START.mean)
    assert (nothing.scores == -np.inf).all()


def test_a_fit_by_hand():
    tried = np.array([[[0.0], [0.2], [0.4], [1.0]]])
    scores = np.array([[0.0, 3.0, 2.0, 1.0]])
    config = CrossEntropyConfig(samples=4, elites=2, kept=0.5, least_deviation=0.0)
    belief = fitted(Belief(np.zeros((1, 1)), np.ones((1, 1))), tried, scores, config)
    assert belief.mean == pytest.approx(np.array([[0.15]]))
    assert belief.deviation == pytest.approx(np.array([[0.55]]))


def test_more_elites_than_samples_are_refused():
    with pytest.raises(ValueError, match="5 elites of 4 samples"):
        CrossEntropyConfig(samples=4, elites=5)
