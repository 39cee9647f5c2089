"""What is seen: the same for environments and controllers, and wherever the scene stands."""

from __future__ import annotations

from dataclasses import fields

import assist_samples as samples
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.types import Observation, RobotState
from dexgrasp_models.tasks.assist_observation import (
    AssistObservation,
    WristHistory,
    assist_observation,
    from_observation,
    seen_angles,
    seen_joints,
    state_vector,
)

HAND = samples.HAND
N, H, P = 7, 5, 1024


def scene(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints (N, 22), wrists (N, H, 4, 4) and clouds (N, P, 3)."""
    rng = np.random.default_rng(seed)
    wrists = samples.poses(N * H, rng).reshape(N, H, 4, 4)
    return samples.joints(N, rng), wrists, samples.clouds(N, P, rng)


def same(one: AssistObservation, other: AssistObservation) -> bool:
    """To the bit."""
    names = [item.name for item in fields(AssistObservation) if item.name != "hint"]
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def followed(wrists: np.ndarray) -> WristHistory:
    """A history that has seen (N, H, 4, 4)."""
    history = WristHistory(len(wrists), wrists.shape[1])
    history.reset(np.arange(len(wrists)), wrists[:, 0])
    for step in range(1, wrists.shape[1]):
        history.push(wrists[:, step])
    return history


def controllers(joints: np.ndarray, wrist: np.ndarray, cloud: np.ndarray | None) -> Observation:
    return Observation(RobotState(0.0, wrist, joints, np.zeros(22)), object_points=cloud)


def test_shapes():
    found = assist_observation(*scene(), HAND)
    assert found.actuated.shape == (N, 18)
    assert found.coupled.shape == (N, 4)
    assert found.wrists.shape == (N, H, 7)
    assert found.cloud.shape == (N, P, 3)


def test_a_controller_sees_what_its_environment_does_to_the_bit():
    joints, wrists, cloud = scene()
    environments = assist_observation(joints, followed(wrists).poses, cloud, HAND)
    for row in range(N):
        observation = controllers(joints[row], wrists[row, -1], cloud[row])
        alone = from_observation(observation, followed(wrists[[row]]), HAND)
        rows = [environments.actuated, environments.coupled, environments.wrists]
        rows = [values[[row]] for values in (*rows, environments.cloud)]
        assert same(alone, AssistObservation(*rows))
    other = from_observation(
        controllers(joints[0] + 1e-12, wrists[0, -1], cloud[0]), followed(wrists[[0]]), HAND
    )
    assert not np.array_equal(other.actuated, environments.actuated[:1])


def test_a_hint_is_normalised_as_the_hand_and_comes_last_in_the_state():
    joints, wrists, cloud = scene()
    found = assist_observation(joints, wrists, cloud, HAND, hints=joints[::-1])
    assert np.array_equal(found.hint, found.actuated[::-1])
    state = state_vector(found, hint=True)
    assert np.array_equal(state[:, :-18], state_vector(found))
    assert np.array_equal(state[:, -18:], found.hint)
    alone = assist_observation(joints, wrists, cloud, HAND)
    assert alone.hint is None
    with pytest.raises(ValueError, match="has to be told a posture"):
        state_vector(alone, hint=True)
    with pytest.raises(ValueError, match="hint has the shape"):
        assist_observation(joints, wrists, cloud, HAND, hints=joints[:, :18])


def test_how_far_targets_are_beyond_the_joints_is_seen_where_they_are_known():
    joints, wrists, cloud = scene()
    press = HAND.reduction.T @ np.linspace(-0.3, 0.4, 18)  # spread over the joints of the tendons
    found = assist_observation(joints, wrists, cloud, HAND, joints + press)
    expected = np.tile(HAND.reduction @ press, (N, 1))
    assert found.pressing == pytest.approx(expected, abs=1e-12)
    state = state_vector(found, pressing=True)
    assert np.array_equal(state[:, :57], state_vector(found))
    assert np.array_equal(state[:, 57:], found.pressing)
    alone = from_observation(
        controllers(joints[0], wrists[0, -1], cloud[0]),
        followed(wrists[[0]]),
        HAND,
        targets=joints[0] + press,
    )
    assert np.array_equal(alone.pressing, found.pressing[:1])
    with pytest.raises(ValueError, match="told the present joint targets"):
        state_vector(assist_observation(joints, wrists, cloud, HAND), pressing=True)
    with pytest.raises(ValueError, match="targets has the shape"):
        assist_observation(joints, wrists, cloud, HAND, joints[:, :18])


def test_joints_are_normalised_by_their_limits_and_none_is_lost():
    _, wrists, cloud = scene()
    limits = np.stack((HAND.limits[:, 0], HAND.limits.mean(axis=1), HAND.limits[:, 1]))
    found = assist_observation(limits, wrists[:3], cloud[:3], HAND)
    for angles in (found.actuated, found.coupled):
        expected = np.broadcast_to(np.array([[-1.0], [0.0], [1.0]]), angles.shape)
        assert angles == pytest.approx(expected, abs=1e-12)

    straight = np.zeros((1, 22))
    bent = straight.copy()
    bent[0, HAND.joint_index("rh_MFJ1")] = 0.4
    rest, moved = (assist_observation(q, wrists[:1], cloud[:1], HAND) for q in (straight, bent))
    tendon = HAND.actuators.index("rh_MFJ0")
    assert np.flatnonzero(moved.actuated != rest.actuated).tolist() == [tendon]
    assert np.flatnonzero(moved.coupled != rest.coupled).tolist() == [1]
    assert moved.coupled[0, 1] - rest.coupled[0, 1] == pytest.approx(0.8 / 1.571)


def test_wrists_and_cloud_are_those_of_the_present_wrist():
    joints, wrists, cloud = scene()
    found = assist_observation(joints, wrists, cloud, HAND)
    expected = np.linalg.inv(wrists[:, -1])[:, None] @ wrists
    assert found.wrists[..., :3] == pytest.approx(expected[..., :3, 3], abs=1e-12)
    turned = Rotation.from_quat(found.wrists[..., 3:].reshape(-1, 4)).as_matrix()
    assert turned == pytest.approx(expected[..., :3, :3].reshape(-1, 3, 3), abs=1e-12)
    assert (found.wrists[..., 6] >= 0.0).all()
    assert found.wrists[:, -1] == pytest.approx(np.tile([0, 0, 0, 0, 0, 0, 1.0], (N, 1)), abs=1e-7)
    back = np.einsum("nij,npj->npi", wrists[:, -1, :3, :3], found.cloud)
    assert back + wrists[:, -1, None, :3, 3] == pytest.approx(cloud, abs=1e-12)


def test_nothing_depends_on_where_the_scene_stands():
    joints, wrists, cloud = scene()
    room = samples.poses(1, np.random.default_rng(9))[0]
    moved = cloud @ room[:3, :3].T + room[:3, 3]
    one = assist_observation(joints, wrists, cloud, HAND)
    other = assist_observation(joints, room @ wrists, moved, HAND)
    assert other.wrists == pytest.approx(one.wrists, abs=1e-7)
    assert other.cloud == pytest.approx(one.cloud, abs=1e-12)
    # The wrist alone: the cloud is elsewhere then.
    wrong = assist_observation(joints, room @ wrists, cloud, HAND)
    assert not np.allclose(wrong.cloud, one.cloud)


def test_a_history_keeps_the_newest_and_is_reset_by_index():
    rng = np.random.default_rng(1)
    walk = samples.poses(3 * 8, rng).reshape(8, 3, 4, 4)
    history = WristHistory(3, 5)
    history.reset([0, 1, 2], walk[0])
    assert np.array_equal(history.poses, np.repeat(walk[0][:, None], 5, axis=1))
    for poses in walk[1:7]:
        history.push(poses)
    assert np.array_equal(history.poses, walk[2:7].swapaxes(0, 1))
    history.reset(np.array([1]), walk[7, 1][None])
    assert np.array_equal(history.poses[1], np.repeat(walk[7, 1][None], 5, axis=0))
    assert np.array_equal(history.poses[[0, 2]], walk[2:7].swapaxes(0, 1)[[0, 2]])


def test_what_a_history_gives_does_not_change_later():
    history = WristHistory(1, 2)
    history.reset([0], np.eye(4)[None])
    given = history.poses
    history.reset([0], 2.0 * np.eye(4)[None])
    assert np.array_equal(given[0, 0], np.eye(4))


def test_a_history_that_was_never_reset_is_refused():
    history = WristHistory(3)
    history.reset([0, 2], np.tile(np.eye(4), (2, 1, 1)))
    history.push(np.tile(np.eye(4), (3, 1, 1)))
    with pytest.raises(ValueError, match="history of environment 1 is empty: reset it first"):
        _ = history.poses
    with pytest.raises(ValueError, match="wrist of environment 2 is not finite"):
        history.push(np.stack((np.eye(4), np.eye(4), np.full((4, 4), np.nan))))
    with pytest.raises(ValueError, match=r"first wrist has the shape \(2, 4, 4\)"):
        history.reset([0], np.tile(np.eye(4), (2, 1, 1)))


@pytest.mark.parametrize("points", [40, 1500, 3])
def test_another_number_of_points_is_brought_to_that_of_the_policy(points):
    joints, wrists, _ = scene()
    cloud = samples.clouds(1, points, np.random.default_rng(2))[0]
    found = from_observation(
        controllers(joints[0], wrists[0, -1], cloud), followed(wrists[:1]), HAND, 64
    )
    assert found.cloud.shape == (1, 64, 3)
    all_of_it = assist_observation(joints[:1], wrists[:1], cloud[None], HAND).cloud[0]
    rows = {tuple(point) for point in found.cloud[0]}
    assert rows <= {tuple(point) for point in all_of_it}
    assert len(rows) == min(points, 64)


@pytest.mark.parametrize(
    ("cloud", "message"),
    [
        (None, "has no cloud"),
        (np.zeros((0, 3)), "is empty"),
        (np.full((4, 3), np.nan), "cloud of environment 0 is not finite"),
        (np.zeros((4, 2)), r"cloud has the shape \(1, 4, 2\)"),
    ],
)
def test_a_controller_is_told_what_is_wrong_with_its_cloud(cloud, message):
    joints, wrists, _ = scene()
    with pytest.raises(ValueError, match=message):
        from_observation(controllers(joints[0], wrists[0, -1], cloud), followed(wrists[:1]), HAND)


def test_a_controller_is_told_of_a_history_that_is_not_its_own():
    joints, wrists, cloud = scene()
    observation = controllers(joints[0], wrists[0, -1], cloud[0])
    for history in (followed(wrists[:1, :-1]), followed(wrists[:2])):
        with pytest.raises(ValueError, match="not this observation's"):
            from_observation(observation, history, HAND)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joints": np.zeros((N, 18))}, "joints has the shape"),
        ({"joints": np.full((N, 22), np.nan)}, "joints of environment 0"),
        ({"wrists": np.zeros((N, 4, 4))}, "wrists has the shape"),
        ({"cloud": np.zeros((N - 1, P, 3))}, "cloud has the shape"),
        ({"cloud": np.zeros((N, 0, 3))}, "no points"),
    ],
)
def test_bad_input_is_refused(change, message):
    given = dict(zip(("joints", "wrists", "cloud"), scene(), strict=True)) | change
    with pytest.raises(ValueError, match=message):
        assist_observation(**given, hand=HAND)


def test_the_state_is_all_but_the_cloud_in_order():
    found = assist_observation(*scene(), HAND)
    state = state_vector(found)
    assert state.shape == (N, 57)
    parts = np.split(state, [18, 22], axis=1)
    assert np.array_equal(parts[0], found.actuated)
    assert np.array_equal(parts[1], found.coupled)
    assert np.array_equal(parts[2].reshape(N, H, 7), found.wrists)


def test_seen_joints_are_all_of_the_hands():
    """Those of a tendon differ from each other, and are told apart."""
    joints, wrists, cloud = scene()
    found = seen_joints(assist_observation(joints, wrists, cloud, HAND), HAND)
    np.testing.assert_allclose(found, joints, atol=1e-12)


def test_seen_angles_are_those_of_the_actuators():
    joints, wrists, cloud = scene()
    angles = seen_angles(assist_observation(joints, wrists, cloud, HAND), HAND)
    assert angles == pytest.approx(joints @ HAND.reduction.T, abs=1e-12)
