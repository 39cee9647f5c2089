"""Edits of grasps: of what they say, no further, and back again."""

from __future__ import annotations

import assist_scenes as scenes
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.plan_edits import EditConfig, edit_stages, edited

HAND = load_hand()
CONFIG = EditConfig(shift=0.02, turn=0.3, fingers=0.2)
GOALS = scenes.pressing_goals()
NONE = np.zeros((len(GOALS), 24))


def only(number: int, value: float) -> np.ndarray:
    edits = NONE.copy()
    edits[:, number] = value
    return edits


def test_every_number_is_of_one_stage():
    stages = edit_stages(HAND)
    numbers = [number for stage in stages for number in range(24)[stage]]
    assert numbers == list(range(24))
    assert [len(range(24)[stage]) for stage in stages] == [3, 3, len(HAND.actuators)]


def test_no_edit_leaves_a_grasp_as_it_is():
    same = edited(GOALS, NONE, CONFIG, HAND)
    assert same.palm_poses == pytest.approx(GOALS.palm_poses, abs=1e-6)
    assert same.joints == pytest.approx(GOALS.joints, abs=1e-6)
    assert same.squeezes == pytest.approx(GOALS.squeezes, abs=1e-6)


def test_the_palm_moves_along_its_own_axes():
    moved = edited(GOALS, only(2, 0.5), CONFIG, HAND)
    ways = moved.palm_poses[:, :3, 3] - GOALS.palm_poses[:, :3, 3]
    assert ways == pytest.approx(0.01 * GOALS.palm_poses[:, :3, 2], abs=1e-6)
    assert moved.palm_poses[:, :3, :3] == pytest.approx(GOALS.palm_poses[:, :3, :3], abs=1e-6)


def test_the_palm_turns_about_its_own_axes_where_it_is():
    turned = edited(GOALS, only(4, -1.0), CONFIG, HAND)
    by = Rotation.from_rotvec([0.0, -0.3, 0.0]).as_matrix()
    assert turned.palm_poses[:, :3, :3] == pytest.approx(GOALS.palm_poses[:, :3, :3] @ by, abs=1e-6)
    assert turned.palm_poses[:, :3, 3] == pytest.approx(GOALS.palm_poses[:, :3, 3], abs=1e-6)


def test_fingers_and_what_they_press_with_move_alike():
    actuator = HAND.actuators.index("rh_MFJ3")
    bent = edited(GOALS, only(6 + actuator, 0.5), CONFIG, HAND)
    by = 0.1 * HAND.expansion[:, actuator]
    assert bent.joints == pytest.approx(GOALS.joints + by, abs=1e-6)
    assert bent.squeezes == pytest.approx(GOALS.squeezes + by, abs=1e-6)


def test_edits_end_at_the_greatest_and_fingers_at_their_limits():
    far = edited(GOALS, 9.0 + NONE, CONFIG, HAND)
    assert np.array_equal(far.palm_poses, edited(GOALS, 1.0 + NONE, CONFIG, HAND).palm_poses)
    wide = edited(GOALS, 1.0 + NONE, EditConfig(fingers=1.0), HAND)
    low, high = HAND.limits.T
    assert ((wide.joints >= low - 1e-6) & (wide.joints <= high + 1e-6)).all()


def test_edits_of_other_shapes_or_none_are_refused():
    with pytest.raises(ValueError, match="edit has the shape"):
        edited(GOALS, NONE[:, :6], CONFIG, HAND)
    with pytest.raises(ValueError, match="edit of environment 0 is not finite"):
        edited(GOALS, NONE + np.nan, CONFIG, HAND)
