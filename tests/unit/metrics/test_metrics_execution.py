"""Success, errors and disturbance of executed grasps, on cases known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dexgrasp_models.metrics.grasp_execution import (
    lifted_in_hand,
    mean_position_error,
    posture,
    reached_lift_target,
    stability,
)


def pose(translation: tuple[float, float, float], turn: Rotation) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn.as_matrix(), translation
    return matrix


def test_lift_target_is_30_cm_up():
    start = np.array([0.1, -0.05, 0.03])
    ends = start + np.array(
        [[0, 0, 0.3], [0, 0, 0.26], [0, 0, 0.24], [0.04, 0, 0.3], [0.04, 0.04, 0.3], [0, 0, 0]]
    )
    assert reached_lift_target(start, ends).tolist() == [True, True, False, True, False, False]


def test_lifted_in_hand_needs_height_and_a_firm_hold():
    start, hand = np.array([0, 0, 0.03]), np.array([0, 0, 0.15])
    rise = np.array([0, 0, 0.2])
    assert lifted_in_hand(start, hand, start + rise, hand + rise)
    assert not lifted_in_hand(start, hand, start + rise / 2.1, hand + rise / 2.1)  # too low
    assert not lifted_in_hand(start, hand, start, hand + rise)  # left behind
    slipped = start + rise - [0, 0, 0.06]  # lifted, but 6 cm further from the hand
    assert not lifted_in_hand(start, hand, slipped, hand + rise)
    held = lifted_in_hand(
        np.stack([start] * 2), np.stack([hand] * 2), [start + rise, slipped], [hand + rise] * 2
    )
    assert held.tolist() == [True, False]


def test_mean_position_error_is_a_mean_of_distances():
    goal = np.random.default_rng(0).normal(size=(15, 3))
    assert mean_position_error(goal, goal) == 0
    assert mean_position_error(goal + np.array([0.03, 0.04, 0]), goal) == pytest.approx(0.05)
    one_off = goal.copy()
    one_off[4, 2] += 0.15
    assert mean_position_error(one_off, goal) == pytest.approx(0.01)  # not a root mean square
    both = mean_position_error(np.stack([goal, one_off]), goal)
    assert both == pytest.approx([0, 0.01])


def test_posture_is_the_distance_of_joint_angles():
    target = np.linspace(0, 1, 18)
    assert posture(target, target) == 0
    joints = target.copy()
    joints[[2, 7]] += [0.3, -0.4]
    assert posture(joints, target) == pytest.approx(0.5)


def test_stability_of_known_motions():
    start = pose((0, 0, 0.1), Rotation.identity())
    about_x, about_z = (Rotation.from_euler(axis, 60, degrees=True) for axis in "xz")
    ends = np.stack(
        [start, pose((0.03, 0, 0.06), about_x), pose((0, 0, 0.1), about_z),
         pose((0, 0, 0.1), Rotation.from_euler("y", 180, degrees=True))]
    )  # fmt: skip
    found = stability(start, ends)
    assert found.translation == pytest.approx([0, 0.05, 0, 0])
    assert found.angle == pytest.approx([0, 0, np.pi / 3, np.pi], abs=1e-7)
    assert found.cosine_distance == pytest.approx([0, 0, 0.5, 2])


def test_stability_is_measured_between_the_poses_wherever_the_object_lies():
    lying = pose((0.2, 0.1, 0.05), Rotation.random(random_state=0))
    turn = pose((0, 0, 0), Rotation.from_euler("z", 0.2))
    found = stability(lying, lying @ turn)
    assert found.angle == pytest.approx(0.2)
    assert found.translation == pytest.approx(0)
