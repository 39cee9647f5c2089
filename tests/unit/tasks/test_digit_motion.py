"""Fingertips' velocities against differences of their places."""

from __future__ import annotations

import assist_samples as samples
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dexgrasp_models.tasks.digit_motion import digit_motion, keypoints_of
from dexgrasp_models.tasks.wrist_paths import fingertips

HAND = samples.HAND
STEP = 1e-5


def test_velocities_are_the_change_of_places_and_rotations():
    rng = np.random.default_rng(0)
    palms, joints = samples.poses(4, rng), samples.joints(4, rng)
    velocities, speeds = rng.normal(size=(4, 6)), rng.normal(size=(4, 22))

    def moved(time: float):
        later = palms.copy()
        turn = Rotation.from_rotvec(time * velocities[:, 3:]).as_matrix()
        later[:, :3, :3] = turn @ palms[:, :3, :3]
        later[:, :3, 3] += time * velocities[:, :3]
        return digit_motion(later, velocities, joints + time * speeds, speeds, HAND)

    before, after = moved(-STEP), moved(STEP)
    now = moved(0.0)
    assert now.positions == pytest.approx(fingertips(HAND, palms, joints))
    linear = (after.positions - before.positions) / (2 * STEP)
    assert now.velocities[..., :3] == pytest.approx(linear, abs=1e-6)
    turned = (after.rotations @ before.rotations.swapaxes(-1, -2)).reshape(-1, 3, 3)
    angular = Rotation.from_matrix(turned).as_rotvec().reshape(4, -1, 3) / (2 * STEP)
    assert now.velocities[..., 3:] == pytest.approx(angular, abs=1e-6)


def test_keypoints_are_15_and_move_with_the_palm():
    rng = np.random.default_rng(0)
    palms, joints = samples.poses(3, rng), samples.joints(3, rng)
    found = keypoints_of(palms, joints, HAND)
    assert found.shape == (3, 15, 3)
    own = keypoints_of(np.tile(np.eye(4), (3, 1, 1)), joints, HAND)
    moved = np.einsum("nij,nkj->nki", palms[:, :3, :3], own) + palms[:, None, :3, 3]
    assert found == pytest.approx(moved)
