"""Actions: bounded, the same for a turned scene, and found again from where they lead."""

from __future__ import annotations

import assist_samples as samples
import numpy as np
import pytest
from goal_states import HAND, motion

from dexgrasp_models.tasks.goal_action import (
    acted,
    action_size,
    actions_to,
    wrist_actions,
    wrist_leads,
)
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_frame import first_hands, reference_frames

CONFIG = GoalConfig()
COUNT = 5
RNG = np.random.default_rng(0)
WRISTS = samples.poses(COUNT, RNG)
FRAMES = reference_frames(first_hands(RNG.uniform(-3.0, 3.0, COUNT), 0.35))
JOINTS = HAND.couple(samples.joints(COUNT, RNG))


def after(actions: np.ndarray, wrists=WRISTS, frames=FRAMES, measured=None):
    measured = wrists if measured is None else measured
    return acted(wrists, JOINTS, measured, actions, frames, HAND, CONFIG)


def kept() -> np.ndarray:
    """Actions that change nothing."""
    return actions_to(WRISTS, WRISTS, JOINTS, FRAMES, HAND, CONFIG)


def test_there_are_24_and_one_can_stay():
    assert action_size(HAND) == 24
    wrists, joints = after(kept())
    assert wrists == pytest.approx(WRISTS)
    assert joints == pytest.approx(JOINTS)


def test_one_is_the_greatest_speed_along_the_frames_axes():
    actions = kept()
    actions[:, 0] = 1.0
    wrists, _ = after(actions)
    assert wrists[:, :3, 3] - WRISTS[:, :3, 3] == pytest.approx(0.6 / 20 * FRAMES[:, :3, 0])
    actions = kept()
    actions[:, 5] = -1.0
    _, turns = wrist_leads(after(actions)[0], WRISTS)
    assert turns == pytest.approx(np.tile([0.0, 0.0, -2.5 / 20], (COUNT, 1)), abs=1e-9)


def test_no_action_is_faster_than_that():
    actions = 10.0 * np.random.default_rng(1).normal(size=(COUNT, 24))
    wrists, joints = after(actions)
    moves, turns = wrist_leads(wrists, WRISTS)
    assert (np.linalg.norm(moves, axis=1) <= 0.03 + 1e-9).all()
    assert (np.linalg.norm(turns, axis=1) <= 0.125 + 1e-9).all()
    assert np.abs(joints - JOINTS).max() <= 0.1 + 1e-9
    assert (joints >= HAND.limits[:, 0]).all()
    assert (joints <= HAND.limits[:, 1]).all()
    assert wrist_actions(actions)[0].shape == (COUNT, 3)


def test_fingers_go_to_shares_of_their_ranges():
    actions = kept()
    actions[:, 6:] = np.random.default_rng(2).uniform(-1.0, 1.0, (COUNT, 18))
    joints = JOINTS
    for _ in range(60):
        _, joints = acted(WRISTS, joints, WRISTS, actions, FRAMES, HAND, CONFIG)
    low, high = HAND.actuator_limits.T
    assert joints @ HAND.reduction.T == pytest.approx(low + (actions[:, 6:] + 1) / 2 * (high - low))


def test_the_target_stays_near_a_wrist_that_is_stopped():
    wrists, actions = WRISTS, kept()
    actions[:, 2], actions[:, 3] = -1.0, 1.0
    for _ in range(20):
        wrists, _ = after(actions, wrists, measured=WRISTS)
    moves, turns = wrist_leads(wrists, WRISTS)
    assert np.linalg.norm(moves, axis=1) == pytest.approx(np.full(COUNT, 0.05))
    assert np.linalg.norm(turns, axis=1) == pytest.approx(np.full(COUNT, 0.3))
    back = after(-actions, wrists, measured=WRISTS)[0]
    assert (np.linalg.norm(wrist_leads(back, WRISTS)[0], axis=1) < 0.03).all()


def test_a_turned_scene_acts_turned():
    actions = np.random.default_rng(3).uniform(-1.0, 1.0, (COUNT, 24))
    move = motion(2.1, (0.3, -0.2))
    frames = reference_frames(move @ first_hands_of(FRAMES))
    wrists, joints = after(actions, move @ WRISTS, frames)
    expected, unturned = after(actions)
    assert wrists == pytest.approx(move @ expected, abs=1e-6)
    assert joints == pytest.approx(unturned, abs=1e-12)
    again = actions_to(move @ WRISTS, wrists, joints, frames, HAND, CONFIG)
    assert again == pytest.approx(
        actions_to(WRISTS, expected, unturned, FRAMES, HAND, CONFIG), abs=1e-6
    )
    # Seen by the frame of another scene the same action is another one.
    assert np.abs(after(actions, move @ WRISTS)[0] - move @ expected).max() > 1e-3


def first_hands_of(frames: np.ndarray) -> np.ndarray:
    hands = frames.copy()
    hands[:, :3, :3] = frames[:, :3, :3] @ first_hands(np.zeros(1), 0.0)[0, :3, :3]
    return hands


def test_actions_are_found_from_where_they_lead():
    actions = np.random.default_rng(4).uniform(-0.5, 0.5, (COUNT, 24))
    wrists, joints = after(actions)
    found = actions_to(WRISTS, wrists, joints, FRAMES, HAND, CONFIG)
    again = after(found)
    assert again[0] == pytest.approx(wrists)
    assert again[1] == pytest.approx(joints)
    assert found[:, :6] == pytest.approx(actions[:, :6])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="action has the shape"):
        after(np.zeros((COUNT, 18)))
    with pytest.raises(ValueError, match="action of environment 2 is not finite"):
        after(np.where(np.arange(COUNT)[:, None] == 2, np.nan, np.zeros((COUNT, 24))))
