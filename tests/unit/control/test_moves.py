"""The ways beside the grasp: home, and the hand open."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.control.executor import ExecutorConfig
from dexgrasp_models.control.moves import HAND_REACH, PlannedMove, home_pose, way_home
from dexgrasp_models.control.trajectory import interpolate_pose, pose_distance
from dexgrasp_models.control.types import Observation, OutcomeKind, RobotState
from dexgrasp_models.hand.spec import load_hand

HAND = load_hand()
PERIOD = 0.02
LOW = np.eye(4)
LOW[:3, 3] = [0.05, 0.0, 0.12]


def carried_out(move: PlannedMove, wrist: np.ndarray, joints: np.ndarray, jammed=False):
    """The commands until the outcome, of a hand that follows at once."""
    commands, time = [], 5.0
    while move.outcome is None:
        command = move.step(Observation(RobotState(time, wrist, joints, np.zeros(22))))
        commands.append(command)
        joints = command.finger_targets
        wrist = wrist if jammed else command.wrist_target
        time += PERIOD
        assert len(commands) < 2000
    return commands


def test_where_home_is_says_the_configuration():
    assert home_pose(None)[:3, 3] == pytest.approx([-0.4, 0.0, 0.45])
    arm = ArmKinematics()
    assert home_pose(arm) == pytest.approx(arm.fk(arm.home))


def test_the_way_home_goes_up_before_it_goes_anywhere_else():
    home = home_pose(None)
    move = PlannedMove(
        "home",
        way_home(LOW, home, np.zeros((0, 3)), 0.03, 0.9),
        None,
        ExecutorConfig(),
        HAND.limits,
    )
    commands = carried_out(move, LOW, np.full(22, 0.3))
    assert move.outcome.kind is OutcomeKind.SUCCEEDED
    for command in commands:
        if np.linalg.norm(command.wrist_target[:2, 3] - LOW[:2, 3]) > 1e-6:
            assert command.wrist_target[2, 3] >= home[2, 3] - 1e-9
    assert pose_distance(commands[-1].wrist_target, home)[0] < 0.003
    assert np.array_equal(commands[-1].finger_targets, np.full(22, 0.3))  # the fingers stay


def test_the_way_home_passes_above_what_stands_there_as_far_as_allowed():
    tower = np.array([[0.1, 0.0, 0.3]])
    heights = [pose[2, 3] for pose in way_home(LOW, home_pose(None), tower, 0.03, 0.9)]
    assert heights == pytest.approx([0.12, 0.3 + HAND_REACH + 0.03, 0.3 + HAND_REACH + 0.03, 0.45])
    assert max(p[2, 3] for p in way_home(LOW, home_pose(None), tower, 0.03, 0.5)) == 0.5


def test_the_hand_opens_at_bounded_speed_and_the_wrist_stays():
    closed = HAND.couple(np.clip(np.full(22, 0.8), *HAND.limits.T))
    config = ExecutorConfig()
    move = PlannedMove("open_hand", [LOW], np.zeros(22), config, HAND.limits)
    commands = carried_out(move, LOW, closed)
    fingers = np.array([command.finger_targets for command in commands])
    assert np.abs(fingers[0] - closed).max() < 1e-9
    assert np.abs(fingers[-1]).max() < 1e-3  # the last step is left to the robot
    assert np.abs(np.diff(fingers, axis=0)).max() <= config.finger_speed * PERIOD * 1.001
    assert all(np.array_equal(command.wrist_target, LOW) for command in commands)


def test_a_wrist_that_does_not_follow_ends_the_move():
    way = [LOW, interpolate_pose(LOW, home_pose(None), 1.0)]
    move = PlannedMove("home", way, None, ExecutorConfig(), HAND.limits)
    carried_out(move, LOW, np.zeros(22), jammed=True)
    assert move.outcome.kind is OutcomeKind.ABORTED
    assert "in its way" in move.outcome.reason
