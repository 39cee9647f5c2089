"""Negative controls change what they say, and nothing else."""

import numpy as np
import pytest

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_sim.episodes.perturbation import WRIST_SHIFT, Perturbation, perturb

LIMITS = load_hand().limits


@pytest.fixture
def grasp() -> Grasp:
    generator = np.random.default_rng(1)
    joints = generator.uniform(*LIMITS.T)
    return Grasp(
        palm_pose=np.eye(4),
        joints=joints,
        pregrasp_joints=joints - 0.1,
        squeeze_joints=joints + 0.2,
        score=1.0,
        figures={},
        proposer="test",
    )


def test_reversed_squeeze_opens_as_far_as_the_squeeze_would_close(grasp):
    spoiled = perturb(grasp, Perturbation.REVERSED_SQUEEZE, LIMITS, np.random.default_rng(0))
    np.testing.assert_allclose(spoiled.squeeze_joints - grasp.joints, np.full(22, -0.2))
    np.testing.assert_array_equal(spoiled.joints, grasp.joints)


def test_shuffled_joints_are_the_same_angles_elsewhere_within_the_limits(grasp):
    spoiled = perturb(grasp, Perturbation.SHUFFLED_JOINTS, LIMITS, np.random.default_rng(0))
    np.testing.assert_allclose(np.sort(spoiled.squeeze_joints), np.sort(grasp.squeeze_joints))
    assert np.abs(spoiled.joints - grasp.joints).max() > 0.2
    assert np.all((LIMITS[:, 0] <= spoiled.joints) & (spoiled.joints <= LIMITS[:, 1]))
    np.testing.assert_array_equal(spoiled.palm_pose, grasp.palm_pose)


def test_moved_wrist_is_four_centimetres_off_and_not_turned(grasp):
    spoiled = perturb(grasp, Perturbation.WRIST_MOVED, LIMITS, np.random.default_rng(0))
    shift = spoiled.palm_pose[:3, 3] - grasp.palm_pose[:3, 3]
    assert np.linalg.norm(shift) == pytest.approx(WRIST_SHIFT)
    np.testing.assert_array_equal(spoiled.palm_pose[:3, :3], grasp.palm_pose[:3, :3])


def test_equal_seeds_spoil_alike_and_no_perturbation_changes_nothing(grasp):
    first, second = (
        perturb(grasp, Perturbation.WRIST_MOVED, LIMITS, np.random.default_rng(7)) for _ in range(2)
    )
    np.testing.assert_array_equal(first.palm_pose, second.palm_pose)
    assert perturb(grasp, Perturbation.NONE, LIMITS, np.random.default_rng(0)) is grasp
