"""Distances to the robot, against points of known distance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.perception.robot_mask import robot_distance


@pytest.fixture(scope="module")
def hand():
    return load_hand()


def test_the_palm_is_inside_and_far_points_are_not(hand):
    palm_pose = np.eye(4)
    palm_pose[:3, 3] = [0.1, 0.2, 0.3]
    distance = robot_distance(hand, palm_pose, np.zeros(22))
    palm, far = distance(np.array([[0.1, 0.2, 0.34], [0.1, 0.2, 5.3]]))
    assert palm < 0.0
    assert 4.5 < far < 5.0


def test_distances_are_those_of_the_differentiable_hand(hand):
    generator = np.random.default_rng(0)
    kinematics = HandKinematics(hand, dtype=torch.float64)
    joints = generator.uniform(hand.limits[:, 0], hand.limits[:, 1])
    palm_pose = np.eye(4)
    palm_pose[:3, :3] = Rotation.random(random_state=0).as_matrix()
    palm_pose[:3, 3] = [0.3, -0.1, 0.2]
    points = palm_pose[:3, 3] + generator.uniform(-0.1, 0.1, (10000, 3))
    batch = (torch.as_tensor(array)[None] for array in (points, palm_pose, joints))
    expected = HandDistance(kinematics).signed_distance(*batch)[0].numpy()
    assert (expected < 0.0).sum() > 100
    np.testing.assert_allclose(robot_distance(hand, palm_pose, joints)(points), expected, atol=1e-6)


def test_no_points_have_no_distances(hand):
    assert robot_distance(hand, np.eye(4), np.zeros(22))(np.zeros((0, 3))).shape == (0,)


def test_distances_move_with_the_hand(hand):
    points = np.random.default_rng(0).uniform(-0.2, 0.2, (200, 3))
    moved = np.eye(4)
    moved[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    moved[:3, 3] = [0.3, -0.1, 0.2]
    joints = np.full(22, 0.2)
    here = robot_distance(hand, np.eye(4), joints)(points)
    there = robot_distance(hand, moved, joints)(points @ moved[:3, :3].T + moved[:3, 3])
    np.testing.assert_allclose(here, there, atol=1e-6)


def test_capsules_of_the_arm(hand):
    far_away = np.eye(4)
    far_away[2, 3] = 50.0
    capsule = (np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), 0.1)
    distance = robot_distance(hand, far_away, np.zeros(22), [capsule])
    points = np.array([[0.3, 0.0, 0.5], [0.0, 0.0, 0.2], [0.0, 0.0, 1.5], [0.0, 0.4, -0.3]])
    np.testing.assert_allclose(distance(points), [0.2, -0.1, 0.4, 0.4], atol=1e-6)
