"""Set-points of joints on their way to a goal: closed forms, and limits whatever is asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexgrasp_models.control.joint_following import JointFollower

PERIOD = 0.002
SPEED, ACCELERATION, GAIN = 1.2, 8.0, 25.0


def follower(joints: int = 1, low: float = -3.0, high: float = 3.0) -> JointFollower:
    ones = np.ones(joints)
    return JointFollower(low * ones, high * ones, SPEED * ones, ACCELERATION * ones, GAIN, PERIOD)


def followed(goals, start, follow: JointFollower | None = None) -> np.ndarray:
    """(N, J) set-points, the start first, with a goal (J,) for each step."""
    start = np.array(start, float)
    follow = follow or follower(len(start))
    joints, speeds, path = start, np.zeros_like(start), [start]
    for goal in goals:
        joints, speeds = follow.step(joints, speeds, np.array(goal, float))
        path.append(joints)
    return np.array(path)


def greatest(path: np.ndarray) -> tuple[float, float]:
    """Speed and acceleration in a path, also at its start from rest."""
    speeds = np.diff(path, axis=0) / PERIOD
    speeds = np.vstack([np.zeros_like(speeds[:1]), speeds])
    return np.abs(speeds).max(), np.abs(np.diff(speeds, axis=0) / PERIOD).max()


def test_a_small_step_is_approached_exponentially():
    # Far below the acceleration limit the joint is a first-order lag of the gain: it moves by
    # (1 - gain * period) of the way that is left, once it has got the speed for it.
    goal = 0.0002
    path = followed([[goal]] * 100, [0.0])[:, 0]
    left = goal - path
    started = int(np.argmax(np.diff(path))) + 1
    assert started < 3
    steps = np.arange(len(left) - started)
    expected = left[started] * (1.0 - GAIN * PERIOD) ** steps
    fits = expected > 2e-6  # then it is put at its goal
    assert np.allclose(left[started:][fits], expected[fits], rtol=1e-6)


def test_a_long_way_takes_the_time_of_a_trapezoid():
    way = 2.0
    path = followed([[way]] * 3000, [0.0])[:, 0]
    arrival = np.argmax(path > way - 1e-3) * PERIOD
    # Accelerating at a, braking at 0.9 a, then the last mrad at the gain.
    trapezoid = way / SPEED + SPEED / (2 * ACCELERATION) * (1 + 1 / 0.9)
    assert trapezoid < arrival < trapezoid + 4.0 / GAIN
    assert path[-1] == way
    assert (np.diff(path) >= 0).all()


def test_all_joints_go_straight_and_arrive_together():
    goal = np.array([0.5, -0.25, 0.1])
    path = followed([goal] * 1500, np.zeros(3))
    assert np.array_equal(path[-1], goal)
    shares = path / goal
    middle = (shares[:, 0] > 0.1) & (shares[:, 0] < 0.9)
    assert np.ptp(shares[middle], axis=1).max() < 0.02


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.floats(-4.0, 4.0), min_size=3, max_size=3), st.integers(1, 400)),
        min_size=1,
        max_size=6,
    )
)
def test_limits_hold_whatever_is_asked(goals):
    low, high = -1.0, 1.5
    path = followed(
        [goal for goal, count in goals for _ in range(count)],
        np.zeros(3),
        follower(3, low, high),
    )
    speed, acceleration = greatest(path)
    assert speed <= SPEED * (1 + 1e-9)
    assert acceleration <= ACCELERATION * (1 + 1e-6)
    assert path.min() >= low - 1e-9
    assert path.max() <= high + 1e-9


def test_a_goal_that_stands_is_never_overshot():
    for way in np.geomspace(1e-4, 3.0, 20):
        path = followed([[way]] * 2500, [0.0])[:, 0]
        assert path.max() <= way
        assert path[-1] == way


def test_braking_stops_at_the_stop_point():
    follow = follower()
    joints, speeds = np.array([0.2]), np.array([1.0])
    stop = follow.stop_point(joints, speeds)
    assert np.isclose(stop[0], 0.2 + 1.0 / (2 * ACCELERATION))
    while speeds.any():
        joints, speeds = follow.brake(joints, speeds)
    assert 0 <= stop[0] - joints[0] <= 1.0 * PERIOD


@pytest.mark.parametrize(("gain", "period"), [(0.0, 0.002), (60.0, 0.002), (25.0, 0.0)])
def test_settings_that_can_not_be_followed_are_refused(gain, period):
    ones = np.ones(2)
    with pytest.raises(ValueError, match=r"positive|too high"):
        JointFollower(-ones, ones, ones, ones, gain, period)
