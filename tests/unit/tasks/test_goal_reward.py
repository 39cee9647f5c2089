"""The reward's terms, by cases computed by hand from Eq. 5 to 9 with the weights of Table 7."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dexgrasp_models.tasks.goal_config import GoalRewardConfig
from dexgrasp_models.tasks.goal_reward import (
    finger_distances,
    goal_reward,
    lift_reward,
    move_reward,
    reach_reward,
    rotation_distances,
)

CONFIG = GoalRewardConfig()


def test_the_goals_distances_are_punished():
    joints, goal_joints = np.zeros((2, 22)), np.zeros((2, 22))
    goal_joints[0, [0, 5]] = 0.2, -0.3
    wrists, goals = np.tile(np.eye(4), (2, 2, 1, 1))
    wrists[0, :3, 3] = 0.03, 0.0, 0.04
    wrists[0, :3, :3] = Rotation.from_rotvec([0.0, 0.4, 0.0]).as_matrix()
    # 0.1 (0.2 + 0.3) + 0.6 0.05 + 0.1 0.4
    assert goal_reward(joints, goal_joints, wrists, goals, CONFIG) == pytest.approx([-0.12, 0.0])


def test_rotations_are_as_far_as_the_angle_between_them():
    rng = np.random.default_rng(0)
    one, other = (Rotation.random(20, random_state=rng) for _ in range(2))
    found = rotation_distances(one.as_matrix(), other.as_matrix())
    assert found == pytest.approx((one * other.inv()).magnitude(), abs=1e-6)
    same = one.as_matrix()
    assert rotation_distances(same, same) == pytest.approx(0.0, abs=1e-6)


def test_all_fingers_are_to_reach_the_object():
    tips = np.zeros((1, 5, 3))
    tips[0, 0] = 0.3, 0.0, 0.4
    tips[0, 1] = 0.0, -0.1, 0.0
    distances = finger_distances(tips, np.zeros((1, 3)))
    assert distances == pytest.approx([0.6])
    assert reach_reward(distances, CONFIG) == pytest.approx([-0.3])


@pytest.mark.parametrize(
    ("keypoints", "fingers", "target", "expected"),
    [
        (0.01, 0.5, 0.3, 0.1 * 1.5),
        (0.04, 0.5, 0.3, 0.0),  # the grasp isn't reached
        (0.01, 0.7, 0.3, 0.0),  # the fingers aren't there
        (0.01, 0.5, 0.04, 0.0),  # the object is at its target
    ],
)
def test_going_up_is_rewarded_with_the_grasp_reached_only(keypoints, fingers, target, expected):
    given = (np.array([each]) for each in (keypoints, fingers, target, 0.5))
    assert lift_reward(*given, CONFIG) == pytest.approx([expected])


def test_the_object_is_to_move_to_its_target_with_a_bonus_near_it():
    found = move_reward(np.array([0.3, 0.05, 0.04, 0.0]), CONFIG)
    assert found == pytest.approx([-0.6, -0.1, -0.08 + 1.0 / 1.4, 1.0])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="joints of the goal has the shape"):
        goal_reward(np.zeros((2, 22)), np.zeros((2, 18)), *np.zeros((2, 2, 4, 4)), CONFIG)
    with pytest.raises(ValueError, match="distance to target of environment 1 is not finite"):
        move_reward(np.array([0.0, np.nan]), CONFIG)
