"""Goals that go along with objects: how fast, until when, and what their controller sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.following import FollowConfig, FollowedObject, Following
from dexgrasp_models.control.types import (
    Command,
    Observation,
    Outcome,
    OutcomeKind,
    Phase,
    RobotState,
)
from dexgrasp_models.objects.shapes import make_shape

CONFIG = FollowConfig()
GOAL = np.eye(4)
GOAL[:3, :3] = Rotation.from_euler("xyz", [2.0, 0.3, 0.5]).as_matrix()
GOAL[:3, 3] = 0.05, 0.02, 0.12
FAR = np.eye(4)
FAR[2, 3] = 0.4
PERIOD = 0.02


def box(seed, shift=(0.0, 0.0), turn=0.0, count=1500):
    mesh = make_shape("box").copy()
    mesh.apply_translation([0.0, 0.0, -mesh.bounds[0, 2]])
    points = np.asarray(trimesh.sample.sample_surface(mesh, count, seed=seed)[0])
    return points @ Rotation.from_euler("z", turn).as_matrix().T + [*shift, 0.0]


def following(**settings):
    return Following(box(0, count=512), GOAL, replace(CONFIG, **settings))


def settled(one, wrist=FAR):
    for _ in range(100):
        one.advance(PERIOD, wrist)
    return one.motion


def test_a_goal_goes_to_where_its_object_is_no_faster_than_allowed():
    one = following()
    one.see(box(1, (0.03, -0.02), 0.2))
    goals = [one.advance(PERIOD, FAR) @ GOAL for _ in range(100)]
    steps = np.linalg.norm(np.diff([goal[:3, 3] for goal in goals], axis=0), axis=1)
    # Off the object's middle, about which it turns, a goal is a little faster.
    assert steps.max() < PERIOD * (CONFIG.speed + 0.1 * CONFIG.angular_speed)
    true = np.eye(4)
    true[:3, :3] = Rotation.from_euler("z", 0.2).as_matrix()
    true[:3, 3] = 0.03, -0.02, 0.0
    assert np.linalg.norm((goals[-1] - true @ GOAL)[:3, 3]) < 0.003
    assert np.abs(goals[-1] - true @ GOAL).max() < 0.01
    assert goals[0][2, 3] == goals[-1][2, 3] == GOAL[2, 3]


def test_a_goal_stays_where_its_object_is_hardly_moved():
    one = following(threshold=0.004)
    one.see(box(1, (0.002, 0.0)))
    assert np.array_equal(settled(one), np.eye(4))


@pytest.mark.parametrize("why", ["near", "closes"])
def test_a_goal_stays_once_the_hand_is_there(why):
    one = following()
    one.see(box(1, (0.02, 0.0)))
    before = settled(one)
    if why == "near":
        one.advance(PERIOD, before @ GOAL)
    else:
        one.advance(PERIOD, FAR, stays=True)
    assert one.over
    assert one.see(box(2, (0.05, 0.0))) is None
    assert np.array_equal(settled(one), before)


def test_a_cloud_that_is_not_believed_leaves_the_goal_where_it_is():
    one = following()
    one.see(box(1, (0.02, 0.0)))
    before = settled(one)
    track = one.see(np.zeros((0, 3)))
    assert track.reason == one.doubt != ""
    assert np.array_equal(settled(one), before)
    assert not one.problem
    assert not one.see(box(2, (0.02, 0.0))).reason
    assert not one.doubt


def test_a_failure_says_that_the_goal_could_not_go_along():
    one = following()
    failed = Outcome(OutcomeKind.SLIPPED, "closed on nothing")
    succeeded = Outcome(OutcomeKind.SUCCEEDED, "held")
    assert one.explained(failed) is failed
    one.miss("no cloud for 2.0 s")
    assert one.explained(failed).reason == (
        "closed on nothing; the goal had stayed: no cloud for 2.0 s"
    )
    assert one.explained(succeeded) is succeeded
    one.see(box(1))  # seen again
    assert one.explained(failed) is failed
    one.advance(PERIOD, FAR, stays=True)
    one.miss("nobody looks any more")
    assert one.explained(failed) is failed


def test_points_of_the_object_go_along():
    one = following()
    one.see(box(1, (0.03, -0.02), 0.2))
    motion = settled(one)
    there = one.moved(box(0))
    assert np.allclose(there, box(0) @ motion[:3, :3].T + motion[:3, 3])
    assert np.abs(there - box(0, (0.03, -0.02), 0.2)).max() < 0.004


class Inner:
    """Commands the goal, and notes what it is told."""

    def __init__(self):
        self.phase, self.stage, self.progress = Phase.REACH, "approach", 0.25
        self.outcome, self.seen = None, []

    def step(self, observation):
        self.seen.append(observation)
        return Command(GOAL, np.ones(22))

    def abort(self, reason, kind=OutcomeKind.ABORTED):
        self.outcome = self.outcome or Outcome(kind, reason)


def observation(time, wrist):
    return Observation(RobotState(time, wrist, np.zeros(22), np.zeros(22)), object_points=box(0))


def test_a_controller_acts_as_if_the_object_were_where_it_was():
    one, inner = following(), Inner()
    controller = FollowedObject(inner, one)
    first = controller.step(observation(0.0, FAR))
    assert np.array_equal(first.wrist_target, GOAL)
    one.see(box(1, (0.03, 0.0), 0.2))
    for tick in range(1, 60):
        command = controller.step(observation(PERIOD * tick, FAR))
    motion = one.motion
    assert np.linalg.norm(motion[:2, 3]) > 0.02
    np.testing.assert_allclose(command.wrist_target, motion @ GOAL, atol=1e-12)
    assert np.array_equal(command.finger_targets, np.ones(22))
    seen = inner.seen[-1].state
    np.testing.assert_allclose(motion @ seen.wrist_pose, FAR, atol=1e-12)
    assert np.array_equal(inner.seen[-1].object_points, box(0))
    assert (controller.phase, controller.stage, controller.progress) == (
        Phase.REACH,
        "approach",
        0.25,
    )
    inner.phase = Phase.CLOSE
    controller.step(observation(2.0, FAR))
    assert one.over


def test_an_object_that_was_moved_too_far_ends_the_grasp():
    one, inner = following(max_shift=0.03), Inner()
    controller = FollowedObject(inner, one)
    controller.step(observation(0.0, FAR))
    assert controller.outcome is None
    one.see(box(1, (0.05, 0.0)))
    controller.step(observation(PERIOD, FAR))
    assert controller.outcome.kind is OutcomeKind.ABORTED
    assert "was moved by 0.050 m" in controller.outcome.reason
    # But not once the hand closes: nobody looks then.
    late = following(max_shift=0.03)
    late.see(box(1, (0.05, 0.0)))
    inner = Inner()
    inner.phase = Phase.CLOSE
    late.advance(PERIOD, FAR, stays=True)
    FollowedObject(inner, late).step(observation(0.0, FAR))
    assert inner.outcome is None
