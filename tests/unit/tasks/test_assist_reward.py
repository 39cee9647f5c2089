"""The reward's terms, by the equations' closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_models.tasks.assist_config import AssistRewardConfig
from dexgrasp_models.tasks.assist_reward import following_reward, reward, rise_reward

CONFIG = AssistRewardConfig()
FIFTH = np.array([4])


def following(gradient: np.ndarray, change: np.ndarray, steps: np.ndarray = FIFTH) -> np.ndarray:
    before = np.full((len(steps), 18), 0.3)
    return following_reward(gradient, before, before + change, steps, CONFIG)


def test_following_is_the_change_along_the_gradient():
    gradient = np.zeros((1, 18))
    gradient[0, [2, 5]] = 3.0, 4.0
    along = 0.05 * gradient / 5.0
    assert following(gradient, along) == pytest.approx(0.09 * 0.05)
    assert following(gradient, -along) == pytest.approx(-0.09 * 0.05)
    across = np.zeros((1, 18))
    across[0, [2, 5]] = 4.0, -3.0
    assert following(gradient, across) == pytest.approx(0.0, abs=1e-15)
    each = np.zeros((1, 18))
    each[0, 5] = 0.05
    assert following(gradient, each) == pytest.approx(0.09 * 0.05 * 0.8)


def test_the_gradients_size_does_not_matter_and_none_is_no_reward():
    rng = np.random.default_rng(0)
    gradient, change = rng.normal(size=(2, 1, 18))
    assert following(1000.0 * gradient, change) == pytest.approx(following(gradient, change))
    assert following(0.0 * gradient, change).tolist() == [0.0]


def test_it_is_given_every_fifth_step():
    steps = np.arange(50)
    rng = np.random.default_rng(0)
    given = following(np.ones((50, 18)), rng.uniform(0.01, 0.05, (50, 18)), steps)
    assert np.flatnonzero(given).tolist() == list(range(4, 50, 5))


def test_rise():
    assert rise_reward(np.array([0.0, 1.0, -0.2]), CONFIG) == pytest.approx([0.0, 0.5, -0.1])


def test_success_replaces_the_others():
    terms = np.array([0.01, 0.01]), np.array([0.4, 0.4])
    assert reward(*terms, np.array([False, True]), CONFIG) == pytest.approx([0.41, 1.0])


def test_bad_input_is_refused():
    good = np.zeros((2, 18))
    with pytest.raises(ValueError, match="gradient of environment 1 is not finite"):
        following_reward(
            np.stack((good[0], good[0] + np.nan)), good, good, np.zeros(2, int), CONFIG
        )
    with pytest.raises(ValueError, match="angles after has the shape"):
        following_reward(good, good, good[:1], np.zeros(2, int), CONFIG)
    with pytest.raises(ValueError, match="rise of environment 0 is not finite"):
        rise_reward(np.array([np.nan]), CONFIG)
    with pytest.raises(ValueError, match=r"success has the shape \(1,\), not \(2,\)"):
        reward(np.zeros(2), np.zeros(2), np.array([True]), CONFIG)
