"""The reward's terms, by the equations' closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_models.tasks.assist_config import AssistRewardConfig
from dexgrasp_models.tasks.assist_reward import (
    fingertip_reward,
    following_reward,
    hint_reward,
    reward,
    rise_reward,
)

CONFIG = AssistRewardConfig()
BASELINES = AssistRewardConfig(fingertips=0.5, hint=0.1)
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


def test_fingertips_are_rewarded_by_their_closest_points():
    cloud = np.array([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]])
    tips = np.array([[[0.3, 0.4, 0.0], [1.0, 0.0, 0.2], [0.0, 0.0, 0.0]]])
    found = fingertip_reward(tips, cloud, FIFTH, BASELINES)
    assert found == pytest.approx(-0.5 * (0.5 + 0.2 + 0.0) / 3)
    # Another hand has another cloud, and nothing else does.
    clouds = np.concatenate((cloud, tips[:, :2]))
    two = fingertip_reward(np.tile(tips, (2, 1, 1)), clouds, np.array([4, 4]), BASELINES)
    assert two == pytest.approx([found[0], -0.5 * 0.5 / 3])
    assert fingertip_reward(tips, cloud, FIFTH, CONFIG).tolist() == [0.0]


def test_a_hint_is_rewarded_by_the_mean_difference_of_the_joints():
    joints = np.zeros((2, 4))
    hints = np.array([[0.2, -0.4, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    steps = np.array([4, 4])
    assert hint_reward(joints, hints, steps, BASELINES) == pytest.approx([-0.1 * 0.15, 0.0])
    assert hint_reward(joints, hints, steps, CONFIG).tolist() == [0.0, 0.0]


def test_distances_are_rewarded_when_following_would_be():
    steps = np.arange(50)
    tips, cloud = np.ones((50, 5, 3)), np.zeros((50, 1, 3))
    for given in (
        fingertip_reward(tips, cloud, steps, BASELINES),
        hint_reward(np.ones((50, 22)), np.zeros((50, 22)), steps, BASELINES),
    ):
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
    with pytest.raises(ValueError, match="cloud has the shape"):
        fingertip_reward(np.zeros((2, 5, 3)), np.zeros((1, 9, 3)), np.zeros(2, int), CONFIG)
    with pytest.raises(ValueError, match="hint has the shape"):
        hint_reward(np.zeros((2, 22)), np.zeros((2, 18)), np.zeros(2, int), CONFIG)
    with pytest.raises(ValueError, match="rise of environment 0 is not finite"):
        rise_reward(np.array([np.nan]), CONFIG)
    with pytest.raises(ValueError, match=r"success has the shape \(1,\), not \(2,\)"):
        reward(np.zeros(2), np.zeros(2), np.array([True]), CONFIG)
