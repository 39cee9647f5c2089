"""What a student sees and does: alike in a turned scene, nothing of the true object, and undone."""

from __future__ import annotations

from dataclasses import fields, replace

import assist_samples as samples
import numpy as np
import pytest
from goal_states import HAND, motion

from dexgrasp_models.nets.goal_network import GoalNetworkConfig
from dexgrasp_models.nets.weights import WeightsError, save_weights
from dexgrasp_models.tasks.goal_action import acted, action_size, wrist_leads
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_frame import first_hands, reference_frames
from dexgrasp_models.tasks.goal_student import (
    StudentView,
    clouds_at_goals,
    moves_of,
    moves_to_actions,
    state_size,
    student_states,
)
from dexgrasp_models.tasks.learned_goal import LearnedStudent, NetworkStudent, new_network

CONFIG = GoalConfig()
POSES = ("wrists", "wrist_targets", "frames", "goals")


def view(count: int = 3, seed: int = 0) -> StudentView:
    rng = np.random.default_rng(seed)
    wrists, goals = (samples.poses(count, rng) for _ in range(2))
    targets = wrists.copy()
    targets[:, :3, 3] += rng.uniform(-0.02, 0.02, (count, 3))
    joints = samples.joints(count, rng)
    return StudentView(
        joints,
        rng.normal(size=(count, 22)),
        HAND.couple(joints),
        wrists,
        targets,
        rng.uniform(-1.0, 1.0, (count, 24)),
        reference_frames(first_hands(rng.uniform(-3.0, 3.0, count), 0.35)),
        goals,
        samples.joints(count, rng),
        samples.joints(count, rng),
        samples.clouds(count, 7, rng),
    )


def turned(given: StudentView, angle: float, shift: tuple[float, float]) -> StudentView:
    move = motion(angle, shift)
    poses = {name: move @ getattr(given, name) for name in POSES}
    return replace(given, **poses, clouds=given.clouds @ move[:3, :3].T + move[:3, 3])


def network():
    tiny = replace(GoalNetworkConfig.small(), widths=(16,))
    return new_network(tiny)


def test_a_turned_scene_is_seen_alike_and_its_actions_are():
    given = view()
    moved = turned(given, 1.1, (0.2, -0.1))
    states = student_states(given, HAND)
    assert states.shape == (3, state_size(HAND))
    assert student_states(moved, HAND) == pytest.approx(states, abs=1e-6)
    assert clouds_at_goals(moved) == pytest.approx(clouds_at_goals(given), abs=1e-6)
    student = NetworkStudent(network(), CONFIG)
    assert student.actions(moved) == pytest.approx(student.actions(given), abs=1e-5)
    # Negative control: the hand turned alone is seen otherwise.
    alone = replace(given, wrists=motion(1.1) @ given.wrists)
    assert np.abs(student_states(alone, HAND) - states).max() > 0.1


def test_it_sees_all_that_it_is_given_and_nothing_else():
    given = view()
    before = student_states(given, HAND), clouds_at_goals(given)
    for item in fields(StudentView):
        if item.name == "actions":  # what a wrist speeds up from: not for the network
            continue
        values = getattr(given, item.name)
        changed = motion(0.3, (0.01, 0.0)) @ values if item.name in POSES else values + 0.01
        seen = replace(given, **{item.name: changed})
        after = student_states(seen, HAND), clouds_at_goals(seen)
        assert any(np.abs(a - b).max() > 1e-6 for a, b in zip(before, after, strict=True)), item
    assert not {"object", "objects", "object_poses"} & {item.name for item in fields(StudentView)}


def test_the_way_that_is_left_ends_at_the_goal():
    given = view(2)
    there = replace(given, wrists=given.goals, wrist_targets=given.goals)
    states = student_states(there, HAND)
    # Lead, way, turn and both enlarged; then of the goal seven numbers; then both lengths.
    assert states[:, -33:-15] == pytest.approx(0.0, abs=1e-9)
    assert states[:, -8:-6] == pytest.approx(0.0, abs=1e-9)
    assert np.abs(student_states(given, HAND)[:, -33:-15]).min(axis=0).max() > 1e-3


def test_moves_lead_where_they_are_meant_to():
    """Step by step: as fast as is wanted once it has sped up, and the fingers to the posture."""
    given, rng = at_rest(view(5)), np.random.default_rng(1)
    velocities = np.concatenate(
        (rng.uniform(-0.2, 0.2, (5, 3)), rng.uniform(-1.0, 1.0, (5, 3))), axis=1
    )
    closed = given.goal_joints @ HAND.reduction.T
    low, high = HAND.actuator_limits.T
    postures = np.clip(closed + rng.uniform(-0.8, 0.8, (5, 18)), low, high)
    moves = moves_of(velocities, postures, given, HAND, CONFIG)
    assert np.abs(moves).max() < 1.0
    speeds, fingers = [], [given.targets @ HAND.reduction.T]
    for _ in range(120):
        actions = moves_to_actions(moves, given, HAND, CONFIG)
        assert actions.shape == (5, action_size(HAND))
        wrists, joints = acted(
            given.wrist_targets, given.targets, given.wrists, actions, given.frames, HAND, CONFIG
        )
        way, turn = wrist_leads(wrists, given.wrist_targets)
        speeds.append(np.concatenate((way, turn), axis=1) * CONFIG.rate)
        fingers.append(joints @ HAND.reduction.T)
        given = replace(given, wrists=wrists, wrist_targets=wrists, targets=joints, actions=actions)
    assert speeds[-1] == pytest.approx(velocities, abs=1e-6)
    assert fingers[-1] == pytest.approx(postures, abs=1e-6)
    linear, angular = (np.linalg.norm(np.array(speeds)[..., part], axis=2) for part in PARTS)
    assert np.diff(linear, axis=0).max() == pytest.approx(0.8 / CONFIG.rate)
    assert np.diff(angular, axis=0).max() == pytest.approx(8.0 / CONFIG.rate)
    assert linear[0] == pytest.approx(0.8 / CONFIG.rate)
    assert np.abs(np.diff(fingers, axis=0)).max() == pytest.approx(0.6 / CONFIG.rate)
    # It stops at once.
    still = moves_to_actions(0.0 * moves, given, HAND, CONFIG)
    assert still[:, :6] == pytest.approx(0.0)


PARTS = (slice(0, 3), slice(3, 6))


def test_fingers_arrive_together():
    given, moves = at_rest(view(4)), np.zeros((4, action_size(HAND)))
    present, closed = (each @ HAND.reduction.T for each in (given.targets, given.goal_joints))
    actions = moves_to_actions(moves, given, HAND, CONFIG)
    joints = acted(
        given.wrist_targets, given.targets, given.wrists, actions, given.frames, HAND, CONFIG
    )[1]
    shares = (joints @ HAND.reduction.T - present) / (closed - present)
    assert shares == pytest.approx(np.repeat(shares[:, :1], 18, axis=1), abs=1e-6)
    assert shares.min() > 0.0
    assert np.abs(joints @ HAND.reduction.T - present).max(axis=1) == pytest.approx(
        0.6 / CONFIG.rate
    )


def at_rest(given: StudentView) -> StudentView:
    return replace(given, actions=np.zeros((len(given), 24)), wrist_targets=given.wrists)


def test_what_does_not_fit_is_told():
    given = view()
    with pytest.raises(ValueError, match=r"wrists has the shape \(2, 4, 4\)"):
        replace(given, wrists=given.wrists[:2])
    broken = given.joints.copy()
    broken[1, 0] = np.nan
    with pytest.raises(ValueError, match="joints of environment 1 is not finite"):
        replace(given, joints=broken)
    with pytest.raises(ValueError, match=r"see states \(B, 152\)"):
        network().actions(np_to_tensor(np.zeros((2, 5))), np_to_tensor(np.zeros((2, 256))))
    with pytest.raises(ValueError, match="two or more states"):
        network().fit_standardisation(np_to_tensor(np.zeros((1, 152))))


def np_to_tensor(values: np.ndarray):
    import torch

    return torch.as_tensor(values, dtype=torch.float32)


def test_a_file_of_weights_acts_as_the_network_does_and_one_hand_as_many(tmp_path):
    net, given = network(), view()
    states = np_to_tensor(student_states(view(64, 5), HAND))
    net.fit_standardisation(states)
    save_weights(tmp_path / "policy.safetensors", net, net.config, {"step": 3})
    learned = LearnedStudent(tmp_path / "policy.safetensors", CONFIG)
    assert learned.metadata == {"step": 3}
    found = learned.actions(given)
    assert np.array_equal(found, NetworkStudent(net, CONFIG).actions(given))
    (one,) = learned.actions(StudentView(**{k: v[1:2] for k, v in vars(given).items()}))
    assert one == pytest.approx(found[1], abs=1e-5)
    with pytest.raises(WeightsError, match="no such file"):
        LearnedStudent(tmp_path / "none.safetensors")
