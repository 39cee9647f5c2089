"""What a teacher sees and does: the frame of the first hand, the world's axes, no grasp told."""

from __future__ import annotations

from dataclasses import replace

import goal_states as states
import numpy as np
import pytest
import torch

from dexgrasp_models.nets.teacher_network import TeacherNetworkConfig
from dexgrasp_models.nets.weights import WeightsError, save_weights
from dexgrasp_models.tasks.goal_action import acted
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_frame import inverses, reference_frames
from dexgrasp_models.tasks.goal_observation import goal_observation
from dexgrasp_models.tasks.goal_student import StudentView, moves_to_actions, student_states
from dexgrasp_models.tasks.goal_teacher import (
    actions_seen,
    load_teacher,
    new_teacher,
    teacher_actions,
    teacher_state_size,
    teacher_states,
    view_along_world,
)

SMALL = replace(TeacherNetworkConfig.small(), acts="actions")
ALONG_WORLD = replace(SMALL, canonical=False)


def seen_by(config: TeacherNetworkConfig, given: states.Sample) -> np.ndarray:
    return teacher_states(given.seen(), reference_frames(given.hands), config)


def test_a_turned_scene_is_the_same_only_in_the_frame_of_the_first_hand():
    given = states.sample()
    turned = states.turned(given, 0.7, (0.1, -0.2))
    assert seen_by(SMALL, turned) == pytest.approx(seen_by(SMALL, given), abs=1e-9)
    difference = seen_by(ALONG_WORLD, turned) - seen_by(ALONG_WORLD, given)
    assert np.abs(difference).max() > 0.1
    shifted = states.turned(given, 0.0, (0.1, -0.2))
    assert seen_by(ALONG_WORLD, shifted) == pytest.approx(seen_by(ALONG_WORLD, given), abs=1e-9)


def test_along_the_world_it_is_as_if_the_first_hand_were_not_turned():
    """An independent way to the same: observe in frames that have the first hands' places alone."""
    given = states.sample()
    frames = reference_frames(given.hands)
    frames[:, :3, :3] = np.eye(3)
    expected = goal_observation(
        given.state,
        given.actions,
        frames,
        given.first_goals,
        given.goals,
        given.goal_joints,
        given.clouds,
        states.HAND,
    ).teacher
    found = seen_by(ALONG_WORLD, given)
    # The last action is what was done, which that way has along its own axes.
    own = slice(-24 - 34 - 18 - 6, -34 - 18 - 6)
    found[:, own] = expected[:, own] = 0.0
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("told", "size"), [(True, 232), (False, 192)])
def test_without_a_grasp_that_is_told_nothing_of_it_is_seen(told, size):
    config = replace(SMALL, told=told)
    given = states.sample()
    first = seen_by(config, given)
    assert first.shape == (3, size)
    assert teacher_state_size(states.HAND, config) == size
    other = replace(
        given,
        goals=given.goals[::-1],
        first_goals=given.first_goals[::-1],
        goal_joints=given.goal_joints[::-1],
    )
    assert np.array_equal(seen_by(config, other), first) != told


def test_actions_along_the_world_move_along_the_world():
    given, config = states.sample(), GoalConfig()
    frames = reference_frames(given.hands)
    outputs = np.zeros((3, 24))
    outputs[:, 0] = 0.4

    def moved(network: TeacherNetworkConfig) -> np.ndarray:
        actions = teacher_actions(outputs, frames, network)
        assert actions_seen(actions, frames, network) == pytest.approx(outputs, abs=1e-12)
        wrists = given.state.wrists
        targets, _ = acted(wrists, given.state.joints, wrists, actions, frames, states.HAND, config)
        return targets[:, :3, 3] - wrists[:, :3, 3]

    step = 0.4 * config.wrist_speed / config.rate
    assert moved(ALONG_WORLD) == pytest.approx(np.tile([step, 0.0, 0.0], (3, 1)), abs=1e-12)
    assert moved(SMALL) == pytest.approx(step * frames[:, :3, 0], abs=1e-12)


def test_by_moves_along_the_world_a_hand_speeds_up_along_it_too():
    """A scene seen along the world is one whose first hand isn't turned."""
    given, config = states.sample(), GoalConfig()
    frames = reference_frames(given.hands)
    view = StudentView(
        joints=given.state.joints,
        joint_velocities=given.state.joint_velocities,
        targets=given.state.joints,
        wrists=given.state.wrists,
        wrist_targets=given.state.wrist_targets,
        actions=np.concatenate((0.2 * given.actions[:, :6], given.actions[:, 6:]), axis=1),
        frames=frames,
        goals=given.first_goals,
        goal_joints=given.goal_joints,
        pressed=given.goal_joints,
        clouds=given.clouds,
    )
    seen = view_along_world(view)
    assert student_states(seen, states.HAND).shape == (3, 152)
    moves = np.random.default_rng(0).uniform(-1.0, 1.0, (3, 24))
    found = teacher_actions(moves_to_actions(moves, seen, states.HAND, config), frames, ALONG_WORLD)
    # The same moves, told along the first hands' axes.
    own = actions_seen(moves, inverses(frames), ALONG_WORLD)
    assert found == pytest.approx(moves_to_actions(own, view, states.HAND, config), abs=1e-9)
    assert teacher_state_size(states.HAND, TeacherNetworkConfig.small()) == 384
    with pytest.raises(ValueError, match="a grasp that is told"):
        new_teacher(replace(TeacherNetworkConfig.small(), told=False))


def test_weights_are_loaded_and_others_refused(tmp_path):
    torch.manual_seed(0)
    network = new_teacher(replace(SMALL, categories=3))
    save_weights(tmp_path / "teacher.safetensors", network, network.config, {})
    again = load_teacher(tmp_path / "teacher.safetensors")
    assert again.config == network.config
    assert not again.training
    states_, clouds = torch.randn(2, 232), torch.randn(2, 30, 3) * 0.03
    assert torch.equal(again(states_, clouds), network(states_, clouds))
    with pytest.raises(WeightsError, match="no such file"):
        load_teacher(tmp_path / "none.safetensors")
