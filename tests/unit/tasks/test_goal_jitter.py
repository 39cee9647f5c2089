"""Goals that are told wrongly: by how much, and what stays as it was."""

from __future__ import annotations

import assist_scenes as scenes
import numpy as np
import pytest
import torch
from goal_scenes import episodes
from scipy.spatial.transform import Rotation

from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.tasks.full_clouds import FullClouds
from dexgrasp_models.tasks.goal_frame import inverses
from dexgrasp_models.tasks.goal_jitter import DEPTHS, JitterConfig, jittered, jittered_to

HAND = scenes.HAND
GOALS = scenes.pressing_goals()
MANY = GOALS[np.zeros(400, dtype=int)]


def beside(config: JitterConfig, seed: int = 0):
    return jittered(MANY, config, np.random.default_rng(seed), HAND)


def test_nothing_is_told_wrongly_by_default():
    assert jittered(GOALS, JitterConfig(), np.random.default_rng(0), HAND) is GOALS


def test_places_and_turns_are_off_by_their_deviations_and_no_further():
    found = beside(JitterConfig(shift=0.01, turn=0.1))
    shifts = found.translations - MANY.translations
    turns = Rotation.from_matrix(
        found.palm_poses[:, :3, :3] @ MANY.palm_poses[:, :3, :3].swapaxes(1, 2)
    ).as_rotvec()
    # A share drawn evenly, of a normal deviation cut at two of them.
    for off, deviation in ((shifts, 0.01), (turns, 0.1)):
        assert np.abs(off).max() < 2.0 * deviation + 1e-6
        assert off.std() == pytest.approx(deviation * 0.96 / np.sqrt(3.0), rel=0.15)
        assert np.abs(off.mean(axis=0)).max() < 0.1 * deviation
    assert np.array_equal(found.joints, MANY.joints)
    assert found.squeezes == pytest.approx(MANY.squeezes, abs=1e-6)
    again, other = (beside(JitterConfig(shift=0.01, turn=0.1), seed) for seed in (0, 1))
    assert np.array_equal(again.translations, found.translations)
    assert not np.array_equal(other.translations, found.translations)


def test_fingers_stay_within_limits_and_press_as_far_as_before():
    found = beside(JitterConfig(joints=0.2, closing=0.4))
    low, high = HAND.actuator_limits.T
    angles = found.joints @ HAND.reduction.T
    assert np.all((angles > low - 1e-5) & (angles < high + 1e-5))
    assert angles.std(axis=0).max() > 0.1
    assert np.array_equal(found.translations, MANY.translations.astype(found.joints.dtype))
    pressed = found.squeezes - found.joints
    assert pressed == pytest.approx(MANY.squeezes - MANY.joints, abs=1e-5)


def test_flexors_close_together():
    found = beside(JitterConfig(closing=0.1))
    off = (found.joints - MANY.joints) @ HAND.reduction.T
    spread, *knuckles = (list(HAND.actuators).index(f"rh_{name}") for name in TOGETHER)
    first, second = off[:, knuckles].T
    inside = (np.abs(off[:, knuckles]) > 1e-6).all(axis=1)
    assert inside.sum() > 100
    assert np.corrcoef(first[inside], second[inside])[0, 1] > 0.9
    assert off[:, spread] == pytest.approx(0.0, abs=1e-6)


TOGETHER = ("FFJ4", "FFJ3", "MFJ3")


@pytest.mark.parametrize("name", list(DEPTHS))
def test_hands_reach_as_deep_as_table_4_says(name):
    cloud_rng = np.random.default_rng(5)
    goals = GOALS[np.repeat(np.arange(len(GOALS)), 3)]
    own = episodes(goals)
    inverse = inverses(own.object_poses)
    found = jittered_to(goals, own.object_clouds, DEPTHS[name], np.random.default_rng(0), HAND)
    distance = HandDistance(HandKinematics(HAND))
    reached = []
    for row, (label, pose) in enumerate(zip(own.names, own.object_poses, strict=True)):
        scale, plane = float(goals.scales[row]), goals.planes[row]
        points = FullClouds(kept=1)(label, scale, plane, pose, 64, cloud_rng)
        points = points @ inverse[row, :3, :3].T + inverse[row, :3, 3]
        to_hand = distance.signed_distance(
            *(
                torch.as_tensor(values, dtype=torch.float32)
                for values in (points, found.palm_poses[[row]], found.joints[[row]])
            )
        )
        reached.append(-float(to_hand.min()))
    assert np.mean(reached) == pytest.approx(DEPTHS[name], abs=0.002)
    assert np.abs(found.translations - goals.translations).max() < 0.025
