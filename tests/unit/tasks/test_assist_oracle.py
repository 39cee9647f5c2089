"""The expert of the assisting task: when its fingers are where."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.assist_action import acted
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_oracle import (
    STATIC,
    OracleConfig,
    expert_targets,
    interpolating_actions,
    oracle_actions,
    steps_ahead,
)

HAND, TASK, ORACLE = load_hand(), AssistConfig(), OracleConfig()
FLEXORS = [
    HAND.actuators.index(f"rh_{name}")
    for name in ("FFJ3", "FFJ0", "MFJ3", "MFJ0", "RFJ3", "RFJ0", "LFJ3", "LFJ0", "THJ2", "THJ1")
]


def grasps(count: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Joints in the middle of their limits, coupled, and what presses from them."""
    rng = np.random.default_rng(seed)
    low, high = HAND.limits.T
    joints = HAND.couple(low + rng.uniform(0.4, 0.6, (count, 22)) * (high - low))
    return joints, HAND.couple(joints + rng.uniform(-0.1, 0.1, (count, 22)))


def followed(joints, squeezes, oracle=ORACLE, start=None) -> np.ndarray:
    """(T + 1, N, 18) targets of the actuators, from an open hand on."""
    targets = np.zeros_like(joints) if start is None else start
    seen = [targets]
    for step in range(TASK.horizon):
        steps = np.full(len(joints), step)
        actions = oracle_actions(steps, targets, joints, squeezes, HAND, TASK, oracle)
        targets = acted(targets, actions, HAND, TASK)
        seen.append(targets)
    return np.array(seen) @ HAND.reduction.T


def test_open_then_preshaped_then_at_the_grasp():
    joints, squeezes = grasps()
    targets, goal = followed(joints, squeezes), joints @ HAND.reduction.T
    low, high = HAND.actuator_limits.T
    for step, opening in ((23, 1.0), (29, 0.7), (35, 0.4), (41, 0.4 * 2 / 8), (43, 0.0)):
        wanted = goal.copy()
        wanted[:, FLEXORS] -= opening * np.where(np.isin(FLEXORS, thumb()), -1.0, 1.0)
        assert targets[step] == pytest.approx(np.clip(wanted, low, high), abs=1e-9), step


def thumb() -> list[int]:
    """Actuators whose flexion is negative in our signs, and positive in the hardware's."""
    signs = HAND.reduction @ HAND.hardware_sign
    return [index for index in FLEXORS if signs[index] < 0]


def test_at_the_grasp_at_step_43_wherever_that_can_be_reached():
    """From an open hand, with changes of up to 0.05 rad: 2.1 rad away at most."""
    rng = np.random.default_rng(1)
    actuated = rng.uniform(*np.clip(HAND.actuator_limits, -2.1, 2.1).T, (50, 18))
    joints = actuated @ HAND.expansion.T
    targets = followed(joints, joints)
    assert np.abs(np.diff(targets, axis=0)).max() <= TASK.max_change + 1e-12
    assert targets[43] == pytest.approx(joints @ HAND.reduction.T, abs=1e-9)


def test_it_presses_with_more_than_the_squeeze_from_then_on():
    joints, _ = grasps()
    squeezes = joints + 0.03 * HAND.expansion.sum(axis=1)
    targets, goal = followed(joints, squeezes), joints @ HAND.reduction.T
    pressed = (squeezes - joints) @ HAND.reduction.T
    assert targets[44] == pytest.approx(goal + np.clip(1.25 * pressed, -0.05, 0.05))
    assert targets[45] == pytest.approx(goal + 1.25 * pressed)
    once = followed(joints, squeezes, replace(ORACLE, squeeze=1.0))
    assert once[-1] == pytest.approx(goal + pressed)


def resting_at(*steps: int) -> np.ndarray:
    """(N, T, 4, 4) paths that move evenly by 0.2 m, and rest from these steps on."""
    paths = np.tile(np.eye(4), (len(steps), TASK.horizon, 1, 1))
    for path, rests in zip(paths, steps, strict=True):
        path[:, 0, 3] = 0.2 * np.minimum(np.arange(TASK.horizon) / max(rests, 1), 1.0)
    return paths


def test_it_is_earlier_or_later_as_the_wrist_is():
    assert steps_ahead(resting_at(40, 34, 44), ORACLE).tolist() == [0, 6, -4]
    by_time = replace(ORACLE, clock="time")
    assert steps_ahead(resting_at(40, 34, 44), by_time).tolist() == [0, 0, 0]


def test_a_wrist_that_comes_too_late_finds_it_at_the_grasp_before_the_end():
    ahead = steps_ahead(resting_at(49), ORACLE)
    assert ahead.tolist() == [ORACLE.goal_at - (TASK.horizon - 1)]
    # With no time to wait at all it goes by its moments.
    assert steps_ahead(resting_at(49), replace(ORACLE, goal_at=60)).tolist() == [0]


def test_nothing_is_done_where_the_hand_is_already():
    joints, squeezes = grasps()
    for step in (0, 30, 49):
        steps = np.full(len(joints), step)
        there = expert_targets(steps + 1, joints, squeezes, HAND, ORACLE)
        actions = oracle_actions(steps, there, joints, squeezes, HAND, TASK, ORACLE)
        assert np.abs(actions).max() < 1e-9


def test_a_hand_put_at_the_grasp_waits_and_presses():
    joints, squeezes = grasps()
    targets = followed(joints, squeezes, STATIC, start=joints)
    assert targets[:44] == pytest.approx(np.tile(joints @ HAND.reduction.T, (44, 1, 1)))
    assert np.abs(targets[-1] - targets[43]).max() > 0.05


def test_each_is_at_its_own_step():
    joints, squeezes = grasps()
    steps, targets = np.array([0, 10, 30, 40, 45, 49]), np.zeros_like(joints)
    together = oracle_actions(steps, targets, joints, squeezes, HAND, TASK, ORACLE)
    for row in range(len(steps)):
        alone = oracle_actions(
            *(values[[row]] for values in (steps, targets, joints, squeezes)), HAND, TASK, ORACLE
        )
        assert np.array_equal(alone[0], together[row])


def test_what_does_not_fit_is_refused():
    joints, squeezes = grasps()
    steps = np.zeros(len(joints), dtype=int)
    unknown = squeezes.copy()
    unknown[3] = np.nan
    with pytest.raises(ValueError, match="squeeze of environment 3 is not finite"):
        oracle_actions(steps, joints, joints, unknown, HAND, TASK, ORACLE)
    with pytest.raises(ValueError, match="targets has the shape"):
        oracle_actions(steps, joints[:2], joints, squeezes, HAND, TASK, ORACLE)
    with pytest.raises(ValueError, match="have to follow each other"):
        OracleConfig(goal_at=30)


def test_demonstrations_go_straight_to_the_grasp():
    joints, _ = grasps()
    joints *= 0.9  # in reach of 50 steps
    targets, seen = np.zeros_like(joints), []
    for step in range(TASK.horizon):
        steps = np.full(len(joints), step)
        actions = interpolating_actions(steps, targets, joints, HAND, TASK)
        targets = acted(targets, actions, HAND, TASK)
        seen.append(targets @ HAND.reduction.T)
    goal = joints @ HAND.reduction.T
    shares = np.arange(1, TASK.horizon + 1) / TASK.horizon
    assert np.array(seen) == pytest.approx(shares[:, None, None] * goal, abs=1e-9)
    far = interpolating_actions(np.array([49]), np.zeros((1, 22)), joints[:1], HAND, TASK)
    assert np.abs(far).max() == 1.0
