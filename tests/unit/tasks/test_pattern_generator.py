"""Generated patterns against the minimum-jerk profile and the ranges of their settings."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_models.tasks.pattern_generator import PatternConfig, generate
from dexgrasp_models.tasks.wrist_patterns import SAMPLES

TIME = np.linspace(0.0, 1.0, SAMPLES)
PLAIN = {"paused": 0.0, "corrected": 0.0, "arrived": (1.0, 1.0)}


def made(count: int = 300, seed: int = 0, **settings):
    return generate(np.random.default_rng(seed), count, PatternConfig(**settings))


def speed(patterns) -> np.ndarray:
    return np.gradient(patterns.along, TIME, axis=1)


def test_200_by_default_and_the_same_of_a_seed():
    first, again, other = (generate(np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert len(first) == 200
    for name in ("along", "lateral", "turning", "turns"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))


def test_a_plain_reach_is_minimum_jerk():
    patterns = made(3, **PLAIN)
    expected = 10 * TIME**3 - 15 * TIME**4 + 6 * TIME**5
    assert patterns.along == pytest.approx(np.tile(expected, (3, 1)))
    assert speed(patterns).max() == pytest.approx(1.875, rel=1e-3)


def test_all_start_and_end_at_rest():
    patterns = made()
    for values in (patterns.along, patterns.turning, *np.moveaxis(patterns.lateral, 2, 0)):
        rate = np.gradient(values, TIME, axis=1)
        fastest = np.abs(rate).max(axis=1)
        assert (np.abs(rate[:, [0, -1]]).max(axis=1) < 0.05 * np.maximum(fastest, 1e-9)).all()


def test_arrivals():
    patterns = made(**PLAIN | {"arrived": (0.5, 0.8)})
    arrival = TIME[np.argmax(patterns.along == 1.0, axis=1)]
    assert arrival.min() == pytest.approx(0.5, abs=0.02)
    assert arrival.max() == pytest.approx(0.8, abs=0.02)


def test_pauses():
    paused = made(**PLAIN | {"paused": 1.0, "pause": (0.15, 0.25)})
    still = (speed(paused) < 1e-9) & (paused.along > 0.01) & (paused.along < 0.99)
    lengths = still.mean(axis=1)
    assert lengths.min() > 0.10
    assert lengths.max() < 0.27
    assert (np.diff(paused.along, axis=1) > -1e-12).all()
    # Half of them, where half of them shall; a plain reach stands still nowhere.
    some = made(1000, **PLAIN | {"paused": 0.5, "pause": (0.15, 0.25)})
    stands = ((speed(some) < 1e-9) & (some.along > 0.01) & (some.along < 0.99)).any(axis=1)
    assert stands.mean() == pytest.approx(0.5, abs=0.05)


def test_corrections():
    aimed = {"corrected": 1.0, "aimed": (0.8, 0.9), "correction": (0.65, 0.65)}
    corrected = made(**PLAIN | aimed)
    at_end_of_first = np.array([np.interp(0.65, TIME, along) for along in corrected.along])
    assert at_end_of_first.min() > 0.8  # by then the correction has begun
    assert at_end_of_first.max() < 0.99
    assert (corrected.along[:, -1] == 1.0).all()
    assert (np.diff(corrected.along, axis=1) > -1e-12).all()
    beyond = made(**PLAIN | aimed | {"aimed": (1.05, 1.05)})
    assert (beyond.along.max(axis=1) > 1.02).all()
    assert made(1000).along.max() <= 1.0 + 1e-12  # by default none goes beyond


def test_bows():
    size = np.linalg.norm(made(1000, bow=(0.1, 0.2)).lateral, axis=2).max(axis=1)
    assert size.min() == pytest.approx(0.1, rel=0.02)
    assert size.max() == pytest.approx(0.2, rel=0.02)
    lateral = made(1000).lateral
    assert lateral[..., 1].min() >= 0.0  # none goes down
    sideways = np.abs(lateral[..., 0]).argmax(axis=1)
    left = lateral[np.arange(1000), sideways, 0] > 0
    assert left.mean() == pytest.approx(0.5, abs=0.05)
    assert made(bow=(0.0, 0.0)).lateral == pytest.approx(0.0)


def test_turns_are_as_their_distribution():
    patterns = made(5000, turn_shape=3.0, turn_scale=0.1, turned=(0.5, 0.6))
    assert np.abs(patterns.turns).mean() == pytest.approx(0.3, rel=0.03)
    assert np.abs(patterns.turns).var() == pytest.approx(0.03, rel=0.08)
    assert patterns.turns.mean() == pytest.approx(0.0, abs=0.01)
    assert (patterns.turning[:, TIME > 0.61] == 1.0).all()
    assert (patterns.turning[:, TIME < 0.49] < 1.0).all()


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"PatternConfig\.pause"):
        PatternConfig(pause=(0.1, 0.9))
