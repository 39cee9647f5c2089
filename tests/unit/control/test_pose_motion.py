"""A pose that follows within bounds: closed forms, and random targets."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.pose_motion import PoseMotion
from dexgrasp_models.control.trajectory import MotionBounds

BOUNDS = MotionBounds(0.5, 3.0, 2.0, 12.0)
AXIS = MotionBounds(*(bound / math.sqrt(3.0) for bound in (0.5, 3.0, 2.0, 12.0)))
"""What a motion along one axis has of the bounds."""
TICK = 0.02


def pose(x: float = 0.0, y: float = 0.0, z: float = 0.0, turn=(0.0, 0.0, 0.0)) -> np.ndarray:
    made = np.eye(4)
    made[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    made[:3, 3] = x, y, z
    return made


def turn_between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return Rotation.from_matrix(second[:3, :3] @ first[:3, :3].T).as_rotvec()


def ticks_until(condition, move) -> int:
    for tick in range(1, 1000):
        move()
        if condition():
            return tick
    raise AssertionError("it did not come to that")


@pytest.mark.parametrize("distance", [0.002, 0.01, 0.2])
def test_it_takes_the_time_of_the_fastest_way(distance):
    motion, target = PoseMotion(BOUNDS, np.eye(4)), pose(x=distance)
    v, a = AXIS.linear_speed, AXIS.linear_acceleration
    slow = distance < v * v / a  # the speed is not reached
    expected = 2.0 * math.sqrt(distance / a) if slow else distance / v + v / a
    ticks = ticks_until(
        lambda: np.allclose(motion.pose, target, atol=1e-12) and not motion.moves,
        lambda: motion.follow(target, TICK),
    )
    assert expected <= ticks * TICK + 1e-9 < expected + TICK


def test_a_turn_takes_the_time_of_the_fastest_way():
    motion, target = PoseMotion(BOUNDS, np.eye(4)), pose(turn=(0.0, 0.0, 1.5))
    ticks = ticks_until(
        lambda: np.allclose(motion.pose, target, atol=1e-12),
        lambda: motion.follow(target, TICK),
    )
    expected = 1.5 / AXIS.angular_speed + AXIS.angular_speed / AXIS.angular_acceleration
    assert expected <= ticks * TICK + 1e-9 < expected + TICK


def test_a_stop_takes_the_speed_squared_by_twice_the_acceleration():
    motion = PoseMotion(BOUNDS, np.eye(4))
    far = pose(x=5.0, turn=(0.0, 0.0, 3.0))
    for _ in range(30):
        motion.follow(far, TICK)
    assert motion.velocity == pytest.approx([AXIS.linear_speed, 0.0, 0.0])
    assert motion.angular_velocity == pytest.approx([0.0, 0.0, AXIS.angular_speed])
    before = motion.pose
    ticks_until(lambda: not motion.moves, lambda: motion.brake(TICK))
    distance = AXIS.linear_speed**2 / (2.0 * AXIS.linear_acceleration)
    assert motion.pose[:3, 3] - before[:3, 3] == pytest.approx([distance, 0.0, 0.0], abs=1e-12)
    angle = AXIS.angular_speed**2 / (2.0 * AXIS.angular_acceleration)
    assert turn_between(before, motion.pose) == pytest.approx([0.0, 0.0, angle], abs=1e-9)
    rest = motion.pose
    motion.brake(TICK)
    assert np.array_equal(motion.pose, rest)


def test_it_brakes_where_that_leads_to_the_target_to_the_last_digit():
    """Ruckig finds no plan for these numbers."""
    motion = PoseMotion(BOUNDS, np.eye(4))
    motion.velocity = np.array([0.1164136728958912, 0.0, 0.0])
    target = pose(x=0.003912166773021364)
    motion.follow(target, TICK)
    assert motion.velocity[0] == pytest.approx(
        0.1164136728958912 - AXIS.linear_acceleration * TICK, abs=1e-12
    )
    ticks_until(lambda: not motion.moves, lambda: motion.follow(target, TICK))
    assert motion.pose == pytest.approx(target, abs=1e-12)


coordinates = st.floats(-1.0, 1.0)
targets = st.lists(
    st.tuples(
        st.tuples(*3 * [coordinates]),
        st.tuples(*3 * [st.floats(-2.0, 2.0)]),
        st.integers(1, 15),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(targets)
def test_bounds_hold_whatever_the_target_does(moves):
    motion = PoseMotion(BOUNDS, np.eye(4))
    shift = spin = np.zeros(3)
    for place, turn, ticks, brakes in moves:
        for _ in range(ticks):
            before = motion.pose
            if brakes:
                motion.brake(TICK)
            else:
                motion.follow(pose(*place, turn=turn), TICK)
            old_shift, shift = shift, (motion.pose[:3, 3] - before[:3, 3]) / TICK
            old_spin, spin = spin, turn_between(before, motion.pose) / TICK
            assert np.linalg.norm(shift) <= BOUNDS.linear_speed + 1e-9
            assert np.linalg.norm(spin) <= BOUNDS.angular_speed + 1e-6
            assert np.linalg.norm(shift - old_shift) / TICK <= BOUNDS.linear_acceleration + 1e-6
            assert np.linalg.norm(spin - old_spin) / TICK <= BOUNDS.angular_acceleration + 1e-3
            assert (np.abs(motion.pose[:3, 3]) <= 1.0 + 1e-12).all()  # where all targets lie
            assert np.allclose(motion.pose[:3, :3].T @ motion.pose[:3, :3], np.eye(3), atol=1e-9)
