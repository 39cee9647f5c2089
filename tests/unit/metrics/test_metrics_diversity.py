"""Spread of grasps: chordal mean against the SVD, and sets whose spread is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dexgrasp_models.metrics.diversity import (
    explained_variance,
    joint_deviation,
    keypoint_deviation,
    rotation_deviation,
    translation_deviation,
)


def mean_by_svd(rotations: np.ndarray) -> np.ndarray:
    """Chordal L2 mean: the arithmetic mean's projection onto SO(3)."""
    left, _, right = np.linalg.svd(rotations.mean(axis=0))
    return left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right


@pytest.mark.parametrize("spread", [0.1, 0.8, 2.0])
def test_rotation_deviation_agrees_with_the_mean_by_svd(spread):
    rng = np.random.default_rng(0)
    samples = Rotation.from_rotvec(rng.normal(scale=spread, size=(200, 3)))
    rotations = (Rotation.random(random_state=1) * samples).as_matrix()
    mean = mean_by_svd(rotations)
    cosines = (np.einsum("ij,nij->n", mean, rotations) - 1) / 2
    expected = np.sqrt(np.mean(np.arccos(cosines) ** 2))
    assert rotation_deviation(rotations) == pytest.approx(expected, rel=1e-6)
    others = Rotation.from_matrix(mean) * Rotation.from_rotvec(rng.normal(scale=0.1, size=(50, 3)))
    least = np.square(rotations - mean).sum()
    assert all(np.square(rotations - other).sum() > least for other in others.as_matrix())


def test_rotations_about_one_axis_deviate_by_their_angles():
    angles = np.array([-0.5, -0.1, 0.1, 0.5])
    rotations = Rotation.from_rotvec(angles[:, None] * [0, 0, 1.0]).as_matrix()
    assert rotation_deviation(rotations) == pytest.approx(np.sqrt(np.mean(angles**2)))


def test_equal_rotations_do_not_deviate_and_turning_all_changes_nothing():
    one = Rotation.random(random_state=2)
    assert rotation_deviation(np.repeat(one.as_matrix()[None], 5, axis=0)) < 1e-7
    some = Rotation.random(30, random_state=3)
    expected = rotation_deviation(some.as_matrix())
    assert rotation_deviation((one * some).as_matrix()) == pytest.approx(expected)
    assert rotation_deviation((some * one).as_matrix()) == pytest.approx(expected)


def test_even_rotations_deviate_by_the_closed_form():
    """Angles of even rotations have the density (1 - cos) / pi: their mean square is known.

    The chordal mean of finitely many is where chance puts it, and the samples lie a little nearer.
    """
    rotations = Rotation.random(20_000, random_state=4).as_matrix()
    expected = np.sqrt(np.pi**2 / 3 + 2)
    assert np.rad2deg(expected) == pytest.approx(131.8, abs=0.05)
    assert rotation_deviation(rotations) == pytest.approx(expected, rel=0.02)


def test_translations_on_a_sphere_deviate_by_its_radius():
    directions = np.vstack([np.eye(3), -np.eye(3)])
    assert translation_deviation(0.02 * directions + [1, 2, 3]) == pytest.approx(0.02)
    groups = np.stack([0.02 * directions, 0.04 * directions + 1.0, 0 * directions])
    assert translation_deviation(groups) == pytest.approx(0.02)  # the mean over the rotations
    assert translation_deviation(groups.reshape(-1, 3)) > 0.4  # not the spread of all together


def test_joints_deviate_by_the_mean_of_each_ones_deviation():
    joints = np.zeros((4, 22))
    joints[:, 0] = [-0.2, -0.2, 0.2, 0.2]
    joints[:, 1] = [1.0, 1.0, 1.0, 1.4]
    expected = (0.2 + 0.4 * np.sqrt(3) / 4) / 22
    assert joint_deviation(joints) == pytest.approx(expected)
    assert joint_deviation(np.stack([joints, np.ones((4, 22))])) == pytest.approx(expected / 2)


def test_keypoints_deviate_by_their_mean_distance_from_their_means():
    rng = np.random.default_rng(5)
    place = rng.normal(size=(15, 3))
    shifts = np.array([[0.03, 0, 0], [-0.03, 0, 0], [0, 0, 0.03], [0, 0, -0.03]])
    hands = place + shifts[:, None]
    assert keypoint_deviation(hands) == pytest.approx(0.03)
    hands[:, 5:] = place[5:]  # ten of the fifteen stay where they are
    assert keypoint_deviation(hands) == pytest.approx(0.01)


def test_deviation_of_normal_samples_is_their_sigma():
    rng = np.random.default_rng(6)
    samples = rng.normal(scale=0.02, size=(40_000, 3))
    assert translation_deviation(samples) == pytest.approx(0.02 * np.sqrt(3), rel=0.01)
    assert joint_deviation(samples) == pytest.approx(0.02, rel=0.01)


def test_explained_variance_of_known_axes():
    grasps = np.zeros((4, 5))
    grasps[:, 1] = [3.0, -3.0, 0, 0]
    grasps[:, 4] = [0, 0, 1.0, -1.0]
    assert explained_variance(grasps) == pytest.approx([0.9, 1, 1, 1, 1])
    rng = np.random.default_rng(7)
    even = explained_variance(rng.normal(size=(50_000, 5)))
    assert even == pytest.approx([0.2, 0.4, 0.6, 0.8, 1], abs=0.01)
    assert explained_variance(np.ones((3, 5))) == pytest.approx(np.ones(5))
    covariance = np.cov(rng.normal(size=(10, 5)).T)
    samples = rng.multivariate_normal(np.zeros(5), covariance, 200)
    eigenvalues = np.linalg.eigvalsh(np.cov(samples.T))[::-1]
    expected = np.cumsum(eigenvalues) / eigenvalues.sum()
    assert explained_variance(samples) == pytest.approx(expected)


def test_empty_and_broken_sets_are_refused():
    with pytest.raises(ValueError, match=r"rotations \(N, 3, 3\)"):
        rotation_deviation(np.zeros((0, 3, 3)))
    with pytest.raises(ValueError, match=r"rotations \(N, 3, 3\)"):
        rotation_deviation(np.eye(3))
    with pytest.raises(ValueError, match="translations"):
        translation_deviation(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="finite"):
        joint_deviation(np.array([[np.nan, 0.0]]))
    with pytest.raises(ValueError, match="keypoints"):
        keypoint_deviation(np.zeros((2, 4, 15, 3)))
