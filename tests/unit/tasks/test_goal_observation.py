"""What is seen: nothing changes where the whole scene is turned, and each part is what it says."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from goal_states import HAND, Sample, motion, sample, turned
from scipy.spatial.transform import Rotation

from dexgrasp_models.tasks.goal_frame import inverses, reference_frames
from dexgrasp_models.tasks.goal_observation import to_goals
from dexgrasp_models.tasks.wrist_paths import fingertips


def arrays(given: Sample) -> dict[str, np.ndarray]:
    seen = given.seen()
    return {item.name: getattr(seen, item.name) for item in fields(seen)}


@pytest.mark.parametrize("angle", [0.7, -2.9])
def test_a_turned_scene_is_seen_the_same(angle):
    given = sample()
    expected = arrays(given)
    for name, values in arrays(turned(given, angle, (0.4, -0.3))).items():
        assert values == pytest.approx(expected[name], abs=1e-6), name


def test_a_hand_turned_alone_is_seen_otherwise():
    given = sample()
    alone = replace(given, hands=motion(0.7) @ given.hands)
    assert np.abs(alone.seen().wrist - given.seen().wrist).max() > 0.01
    raised = turned(given, 0.0)
    lifted = raised.state.objects.copy()
    lifted[:, 2, 3] += 0.1
    higher = replace(raised, state=replace(raised.state, objects=lifted)).seen()
    assert higher.object_state[:, 2] == pytest.approx(given.seen().object_state[:, 2] + 0.1)


def test_parts_are_in_the_reference_frame():
    given = sample()
    seen, frames = given.seen(), reference_frames(given.hands)
    into = inverses(frames)
    wrists = into @ given.state.wrists
    assert seen.wrist[:, :3] == pytest.approx(wrists[:, :3, 3])
    assert seen.wrist[:, 3:6] == pytest.approx(wrists[:, :3, 0])
    assert seen.goal[:, :3] == pytest.approx((into @ given.first_goals)[:, :3, 3])
    assert seen.goal[:, 12:] == pytest.approx(given.goal_joints)
    assert seen.fingertips == pytest.approx(fingertips(HAND, wrists, given.state.joints))
    points = into[:, None] @ given.state.objects[:, None]
    for row in range(3):
        placed = given.clouds[row] @ points[row, 0, :3, :3].T + points[row, 0, :3, 3]
        assert seen.cloud[row] == pytest.approx(placed)
    linear = np.einsum("nij,nj->ni", into[:, :3, :3], given.state.object_velocities[:, :3])
    assert seen.object_state[:, 12:15] == pytest.approx(linear)
    ahead = given.state.wrist_targets[:, :3, 3] - given.state.wrists[:, :3, 3]
    assert np.linalg.norm(seen.efforts[:, :3], axis=1) == pytest.approx(
        np.linalg.norm(ahead, axis=1)
    )
    # A tendon's torque is the mean of its joints'.
    middle, distal = (HAND.joint_index(f"rh_FFJ{n}") for n in (2, 1))
    tendon = HAND.actuators.index("rh_FFJ0")
    means = given.state.efforts[:, [middle, distal]].mean(axis=1)
    assert seen.efforts[:, 6 + tendon] == pytest.approx(means)


def test_a_hand_at_its_goal_has_no_way_left():
    given = sample()
    state = given.state
    at_goal = state.objects @ given.goals
    assert to_goals(at_goal, state.objects, given.goals) == pytest.approx(0.0, abs=1e-7)
    beside = at_goal.copy()
    beside[:, :3, :3] = at_goal[:, :3, :3] @ Rotation.from_rotvec([0.0, 0.0, 0.1]).as_matrix()
    beside[:, :3, 3] += [0.0, 0.03, 0.0]
    left = to_goals(beside, state.objects, given.goals)
    assert np.linalg.norm(left[:, :3], axis=1) == pytest.approx(0.03)
    assert np.linalg.norm(left[:, 3:], axis=1) == pytest.approx(0.1)


def test_a_student_is_told_nothing_of_the_objects_true_state():
    given = sample()
    moved = given.state.objects.copy()
    moved[:, :3, 3] += 0.1
    elsewhere = replace(
        given,
        state=replace(
            given.state, objects=moved, object_velocities=given.state.object_velocities + 1.0
        ),
    ).seen()
    seen = given.seen()
    assert np.array_equal(seen.student, elsewhere.student)
    assert np.abs(seen.teacher - elsewhere.teacher).max() > 0.05
    assert (seen.robot.shape, seen.student.shape, seen.teacher.shape) == (
        (3, 174),
        (3, 208),
        (3, 232),
    )


def test_what_does_not_fit_is_refused():
    given = sample()
    with pytest.raises(ValueError, match="wrist_velocities has the shape"):
        replace(given.state, wrist_velocities=np.zeros((3, 3)))
    with pytest.raises(ValueError, match="goal has the shape"):
        replace(given, goals=given.goals[:2]).seen()
