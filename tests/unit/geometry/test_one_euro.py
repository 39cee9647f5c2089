"""The One Euro filter: its closed form at a fixed cutoff, and what its speed does to the cutoff."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dexgrasp_models.geometry.one_euro import OneEuroPoseFilter, smoothing_factor

PERIOD = 0.01
AXIS = np.array([1.0, -2.0, 2.0]) / 3.0


def pose(position=(0.0, 0.0, 0.0), angle=0.0, axis=AXIS):
    made = np.eye(4)
    made[:3, :3] = Rotation.from_rotvec(angle * np.asarray(axis)).as_matrix()
    made[:3, 3] = position
    return made


def angle_of(found):
    return Rotation.from_matrix(found[:3, :3]).magnitude()


@pytest.mark.parametrize("cutoff", [0.5, 2.0, 20.0])
def test_with_beta_zero_a_step_is_followed_as_by_a_low_pass_of_first_order(cutoff):
    """What is left of a step after n equal periods is (1 + 2 pi f T)^-n."""
    smooth = OneEuroPoseFilter(cutoff, 0.0, 0.0)
    smooth.filter(pose(), PERIOD)
    goal = pose((0.3, -0.4, 1.2), 0.8)
    for n in range(1, 60):
        found = smooth.filter(goal, PERIOD)
        left = (1.0 + 2.0 * math.pi * cutoff * PERIOD) ** -n
        np.testing.assert_allclose(found[:3, 3], (1.0 - left) * goal[:3, 3], rtol=1e-12)
        turn = Rotation.from_matrix(found[:3, :3]).as_rotvec()
        np.testing.assert_allclose(turn, (1.0 - left) * 0.8 * AXIS, atol=1e-12)


def test_steps_count_by_their_time_and_not_by_their_number():
    """Against exp(-2 pi f t), which many short steps approach."""
    smooth = OneEuroPoseFilter(1.0, 0.0, 0.0)
    smooth.filter(pose(), PERIOD)
    rng = np.random.default_rng(1)
    elapsed = 0.0
    for seconds in rng.uniform(1e-5, 3e-4, 2000):
        found = smooth.filter(pose((1.0, 0.0, 0.0)), seconds)
        elapsed += seconds
    assert found[0, 3] == pytest.approx(1.0 - math.exp(-2.0 * math.pi * elapsed), abs=2e-3)


def test_the_first_pose_is_taken_as_it_is_also_after_a_reset():
    smooth = OneEuroPoseFilter(1.0, 1.0, 1.0)
    for at in (pose((1.0, 2.0, 3.0), 1.0), pose((-1.0, 0.0, 3.0), -2.0)):
        np.testing.assert_array_equal(smooth.filter(at, PERIOD), at)
        smooth.filter(pose(), PERIOD)
        smooth.reset()


@pytest.mark.parametrize("angle", [0.1, 3.0])
def test_it_comes_to_a_pose_that_stays(angle):
    smooth = OneEuroPoseFilter(2.0, 20.0, 3.0)
    goal = pose((0.1, 0.2, -0.3), angle)
    smooth.filter(pose(), PERIOD)
    for _ in range(500):
        found = smooth.filter(goal, PERIOD)
    np.testing.assert_allclose(found, goal, atol=1e-6)


def test_a_constant_speed_raises_the_cutoff_as_the_paper_says():
    """At a speed v the lag settles at v T (1 - a) / a, with a of the cutoff f + beta |v'|.

    v' is the difference to the value filtered before, by T: with the lag L it is (v T + L) / T.
    """
    speed, least, beta = 0.2, 1.0, 5.0
    smooth = OneEuroPoseFilter(least, beta, 0.0)
    for n in range(3000):
        found = smooth.filter(pose((0.0, speed * n * PERIOD, 0.0)), PERIOD)
    lag = speed * n * PERIOD - found[1, 3]
    apparent = speed + lag / PERIOD
    factor = smoothing_factor(least + beta * apparent, PERIOD)
    assert lag == pytest.approx(speed * PERIOD * (1.0 - factor) / factor, rel=1e-6)


def test_a_wrist_that_moves_lags_less_with_beta_and_one_at_rest_shakes_no_more():
    rng = np.random.default_rng(2)
    jitter = 1e-4 * rng.standard_normal((1000, 3))

    def run(beta, speed):
        smooth = OneEuroPoseFilter(1.0, beta, beta)
        way = np.outer(np.arange(1000) * PERIOD * speed, [0.0, 0.0, 1.0])
        found = [
            smooth.filter(pose(at + noise, at[2], (0.0, 0.0, 1.0)), PERIOD)
            for at, noise in zip(way, jitter, strict=True)
        ]
        lag = np.linalg.norm(found[-1][:3, 3] - way[-1]), abs(angle_of(found[-1]) - way[-1, 2])
        return lag, np.std([each[:3, 3] for each in found[500:]])

    (lag, turned_lag), _ = run(5.0, 0.3)
    (slow_lag, slow_turned_lag), _ = run(0.0, 0.3)
    assert lag < 0.5 * slow_lag
    assert turned_lag < 0.5 * slow_turned_lag
    assert run(5.0, 0.0)[1] < 0.5 * np.std(jitter)


def test_rotations_stay_rotations():
    smooth = OneEuroPoseFilter(2.0, 20.0, 3.0)
    rng = np.random.default_rng(3)
    for turn in Rotation.random(5000, random_state=rng).as_matrix():
        at = np.eye(4)
        at[:3, :3] = turn
        found = smooth.filter(at, PERIOD)[:3, :3]
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(found) == pytest.approx(1.0)
