"""An executor's bounds: what a bounded controller commands passes, anything else does not hurt."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.execution import ExecutionLimiter
from dexgrasp_models.control.limits import CommandLimiter, SafetyLimits
from dexgrasp_models.control.trajectory import pose_distance
from dexgrasp_models.control.types import Command, RobotState
from dexgrasp_models.geometry.poses import through_quaternion
from dexgrasp_models.hand.spec import load_hand

PERIOD = 0.02
LIMITS = SafetyLimits()
HAND = load_hand()
WIDER = 1.1
"""More than the executor's bounds exceed the controller's."""


def make_pose(position=(0.0, 0.0, 0.4), turn=(0.0, 0.0, 0.0)) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    pose[:3, 3] = position
    return pose


START = Command(make_pose(), HAND.limits.mean(1))


@pytest.fixture
def limiter() -> ExecutionLimiter:
    return started(START)


def started(command: Command) -> ExecutionLimiter:
    limiter = ExecutionLimiter(LIMITS, HAND.finger_joints, HAND.limits, PERIOD)
    limiter.reset(command)
    return limiter


def any_goal(seed: int) -> Command:
    """Anywhere, and often far out of bounds."""
    generator = np.random.default_rng(seed)
    place, turn = generator.uniform(-2.0, 2.0, 3), generator.uniform(-1.8, 1.8, 3)
    return Command(make_pose(place, turn), generator.uniform(-3.0, 3.0, 22))


goals = st.integers(0, 2**32 - 1).map(any_goal)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(goals, st.sampled_from([1, 1, 1, 2, 3])), min_size=1, max_size=12),
    goals,
)
def test_whatever_a_bounded_controller_commands_passes_to_the_bit(wanted, measured):
    """Its commands begin where the robot is measured, which may be out of bounds."""
    limiter = started(START)
    limiter.step(any_goal(0))  # of a commander before
    limiter.measure(measured.wrist_target, measured.finger_targets)
    limiter.begin_fingers()
    limiter.begin_wrist()
    controller = CommandLimiter(LIMITS, HAND.limits, PERIOD)
    controller.reset(
        RobotState(
            0.0,
            through_quaternion(measured.wrist_target),
            measured.finger_targets,
            np.zeros(22),
        )
    )
    command = limiter.previous
    for goal, gap in wanted:
        for _ in range(gap - 1):  # states that got lost
            limiter.step(command)
        bounded = controller.limit(goal, min(gap, 2.0))
        command = Command(through_quaternion(bounded.wrist_target), bounded.finger_targets)
        assert limiter.finger_fault(command.finger_targets) is None
        assert limiter.wrist_fault(command.wrist_target) is None
        given_out = limiter.step(command)
        assert given_out.wrist_target is command.wrist_target
        assert given_out.finger_targets is command.finger_targets
        assert not limiter.slowed


@settings(max_examples=40, deadline=None)
@given(st.lists(goals, min_size=1, max_size=10))
def test_nothing_goes_faster_than_the_limits_for_longer_than_a_moment(wanted):
    limiter = started(START)
    limiter.step(Command(START.wrist_target.copy(), START.finger_targets.copy()))
    before = limiter.previous
    moved = turned = bent = 0.0
    for goal in wanted:
        after = limiter.step(goal)
        move, turn = pose_distance(before.wrist_target, after.wrist_target)
        moved, turned = moved + move, turned + turn
        bent = bent + np.abs(after.finger_targets - before.finger_targets)
        before = after
        # However far the robot runs ahead.
        limiter.measure(goal.wrist_target, goal.finger_targets)
    time = PERIOD * (len(wanted) + 1) * WIDER  # one period may be made up for
    assert moved <= LIMITS.wrist_speed * time
    assert turned <= LIMITS.wrist_angular_speed * time
    assert np.all(bent <= LIMITS.joint_speed * time)


def test_a_far_target_is_reached_in_time_and_told_as_slowed(limiter):
    goal = Command(make_pose((0.0, 0.3, 0.4)), START.finger_targets)
    periods = 0
    while pose_distance(limiter.step(goal).wrist_target, goal.wrist_target)[0] > 0.0:
        assert limiter.slowed
        periods += 1
    assert periods * PERIOD <= 0.3 / LIMITS.wrist_speed <= (periods + 2) * PERIOD * WIDER
    limiter.step(goal)
    assert not limiter.slowed


@pytest.mark.parametrize("angle", [1e6, -1e6, 1e300, HAND.limits[3, 1] + 0.1])
def test_joints_beyond_their_limits_are_refused_by_name(limiter, angle):
    targets = START.finger_targets.copy()
    targets[3] = angle
    fault = limiter.finger_fault(targets)
    assert HAND.finger_joints[3] in fault.kind
    assert f"{angle:.4g} rad" in fault.detail


@pytest.mark.parametrize("place", [(0.0, 0.0, -0.1), (0.0, 0.0, 1e300), (-0.7, 0.0, 0.3)])
def test_a_wrist_outside_the_box_is_refused(limiter, place):
    assert "outside the workspace" in limiter.wrist_fault(make_pose(place)).kind


def test_a_robot_outside_may_come_back_but_go_no_farther():
    joints = START.finger_targets.copy()
    joints[3] = HAND.limits[3, 1] + 0.3
    limiter = started(Command(make_pose((0.0, 0.0, 1.2)), joints))
    back, farther = joints.copy(), joints.copy()
    back[3] -= 0.1
    farther[3] += 0.1
    assert limiter.finger_fault(back) is None
    assert limiter.finger_fault(farther) is not None
    assert limiter.wrist_fault(make_pose((0.0, 0.0, 1.15))) is None
    assert limiter.wrist_fault(make_pose((0.0, 0.0, 1.25))) is not None


def test_holding_is_the_measured_wrist_and_the_grip_of_the_fingers(limiter):
    squeeze = START.finger_targets + 0.04
    limiter.step(Command(START.wrist_target, squeeze))
    limiter.measure(make_pose((0.0, 0.01, 0.4)), START.finger_targets)
    assert np.array_equal(limiter.holding.wrist_target, make_pose((0.0, 0.01, 0.4)))
    assert np.array_equal(limiter.holding.finger_targets, squeeze)


def test_a_measurement_that_is_not_finite_is_none(limiter):
    limiter.measure(np.full((4, 4), np.nan), START.finger_targets)
    goal = Command(make_pose((0.3, 0.0, 0.4)), START.finger_targets)
    assert np.isfinite(limiter.step(goal).wrist_target).all()
    assert np.isfinite(limiter.holding.wrist_target).all()
