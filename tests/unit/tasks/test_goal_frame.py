"""The reference frame: where the first hand is, and the same for a scene that is turned."""

from __future__ import annotations

import numpy as np
import pytest
from goal_states import motion

from dexgrasp_models.tasks.goal_frame import (
    FIRST_ROTATION,
    first_hands,
    inverses,
    moved_into,
    reference_frames,
    turned_into,
)

YAWS = np.array([0.0, 1.0, -3.0])


def test_hands_begin_palm_down_above_the_table():
    hands = first_hands(YAWS, 0.35)
    palms, fingers = -hands[:, :3, 1], hands[:, :3, 2]
    assert palms == pytest.approx(np.tile([0.0, 0.0, -1.0], (3, 1)), abs=1e-12)
    assert fingers[0] == pytest.approx([0.0, -1.0, 0.0], abs=1e-12)
    assert fingers[1] == pytest.approx([np.sin(1.0), -np.cos(1.0), 0.0], abs=1e-12)
    assert hands[:, :3, 3] == pytest.approx(np.tile([0.0, 0.0, 0.35], (3, 1)))


def test_the_frame_is_at_the_first_hand_turned_as_it_is():
    frames = reference_frames(first_hands(YAWS, 0.35))
    assert frames[:, :3, :3] == pytest.approx(
        np.array([motion(yaw)[:3, :3] for yaw in YAWS]), abs=1e-12
    )
    seen = inverses(frames) @ first_hands(YAWS, 0.35)
    assert seen[:, :3, :3] == pytest.approx(np.tile(FIRST_ROTATION, (3, 1, 1)), abs=1e-12)
    assert seen[:, :3, 3] == pytest.approx(0.0, abs=1e-12)


def test_a_first_hand_that_is_not_level_has_a_frame_and_one_that_points_up_has_none():
    tilted = motion(0.4) @ np.eye(4)
    tilted[:3, :3] = tilted[:3, :3] @ np.array([[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]])
    frame = reference_frames(tilted[None])[0]
    assert frame[:3, 2] == pytest.approx([0.0, 0.0, 1.0], abs=1e-12)
    assert frame[:3, :3] == pytest.approx(motion(0.4)[:3, :3], abs=1e-12)
    with pytest.raises(ValueError, match="hand 0 point straight up"):
        reference_frames(np.eye(4)[None])


def test_points_and_vectors_go_into_frames():
    frames = reference_frames(first_hands(np.array([np.pi / 2]), 0.5))
    points = np.array([[[0.0, 1.0, 0.5], [1.0, 0.0, 0.0]]])
    assert moved_into(frames, points)[0] == pytest.approx(
        np.array([[1.0, 0.0, 0.0], [0.0, -1.0, -0.5]]), abs=1e-12
    )
    assert turned_into(frames, points[:, 0])[0] == pytest.approx([1.0, 0.0, 0.5], abs=1e-12)
