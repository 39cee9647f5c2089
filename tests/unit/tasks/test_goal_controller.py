"""The controller `policy` with a student that is known: its stages, steps, and what goes wrong."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from goal_states import HAND

from dexgrasp_models.control.approach_plan import ApproachPlan
from dexgrasp_models.control.controllers import CONTROLLERS, Need
from dexgrasp_models.control.setup import ControllerSetup
from dexgrasp_models.control.types import Observation, OutcomeKind, Phase, RobotState
from dexgrasp_models.nets.weights import WeightsError
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_models.tasks import learned_goal
from dexgrasp_models.tasks.goal_action import actions_to, wrist_leads
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_controller import (
    GoalController,
    GoalControllerConfig,
    Stage,
    make_student,
)
from dexgrasp_models.tasks.goal_frame import FIRST_ROTATION
from dexgrasp_models.tasks.goal_student import StudentView

TASK = GoalConfig()
PERIOD = 0.02
CLOUD = np.random.default_rng(0).uniform((0.02, -0.01, 0.0), (0.08, 0.05, 0.06), (300, 3))


def plan() -> ApproachPlan:
    palm = np.eye(4)
    palm[:3, :3] = FIRST_ROTATION
    palm[:3, 3] = 0.05, 0.02, 0.12
    flexors = np.array([name.endswith(("J2", "J3")) for name in HAND.finger_joints])
    joints = HAND.couple(np.clip(0.4 * flexors, *HAND.limits.T))
    pressed = HAND.couple(np.clip(0.6 * flexors, *HAND.limits.T))
    grasp = Grasp(palm, joints, 0.0 * joints, pressed, score=0.0, figures={}, proposer="test")
    above = palm.copy()
    above[2, 3] += 0.1
    return ApproachPlan(grasp, 0.0 * joints, above, 0.3, 0.01, 0.0)


class Known:
    """Goes to the grasp, closes, presses, and lifts; `stays`: not even that."""

    def __init__(self, stays: bool = False) -> None:
        self.stays, self.seen = stays, []

    def actions(self, view: StudentView) -> np.ndarray:
        self.seen.append(view)
        wrists, joints = view.wrist_targets.copy(), view.targets.copy()
        if not self.stays:
            way, _ = wrist_leads(view.goals, wrists)
            away = np.hypot(way[:, 0], way[:, 1]).max() > 0.003
            left = np.abs(view.pressed - joints).max()
            if left < 1e-3:
                wrists[:, 2, 3] += 0.01
            elif away or abs(way[0, 2]) > 0.003:
                wrists[:, :3, 3] += way * min(1.0, 0.02 / np.linalg.norm(way))
            else:
                joints = joints + np.clip(view.pressed - joints, -0.05, 0.05)
        return actions_to(view.wrist_targets, wrists, joints, view.frames, HAND, TASK)


class Hand:
    """Follows its commands, but the object stops the fingers at the grasp."""

    def __init__(self, student: Known | None = None, place: bool = False, **settings) -> None:
        self.student, self.plan = student or Known(), plan()
        setup = ControllerSetup(PERIOD, self.plan, HAND, place=place)
        config = GoalControllerConfig(**settings)
        self.controller = GoalController(config, setup, lambda *_: self.student, TASK)
        self.wrist = np.eye(4)
        self.wrist[:3, :3] = FIRST_ROTATION
        self.wrist[:3, 3] = 0.1, 0.0, 0.4
        self.joints, self.time, self.holds = np.zeros(22), 0.0, True
        self.cloud: np.ndarray | None = CLOUD
        self.log: list[tuple[str, Phase, np.ndarray, np.ndarray]] = []

    def tick(self) -> None:
        state = RobotState(self.time, self.wrist, self.joints, np.zeros(22))
        command = self.controller.step(Observation(state, self.plan.grasp, self.cloud))
        self.wrist = command.wrist_target
        stopped = np.minimum(command.finger_targets, self.plan.grasp.joints)
        self.joints = stopped if self.holds else command.finger_targets
        self.time += PERIOD
        told = self.controller.stage, self.controller.phase
        self.log.append((*told, self.wrist, command.finger_targets))

    def until(self, stage: str | None = None, limit: float = 60.0) -> None:
        while self.time < limit and self.controller.outcome is None:
            self.tick()
            if self.controller.stage == stage:
                return

    @property
    def ended(self) -> tuple[OutcomeKind, str]:
        assert self.controller.outcome is not None
        return self.controller.outcome.kind, self.controller.outcome.reason


def stages(hand: Hand) -> list[str]:
    return [name for name, _ in itertools.groupby(each[0] for each in hand.log)]


def test_a_grasp_goes_through_all_stages_and_holds_at_the_end():
    hand = Hand()
    hand.until()
    assert hand.ended[0] is OutcomeKind.SUCCEEDED, hand.ended
    assert hand.controller.outcome.lifted_by == "grip"
    assert stages(hand) == ["ready", "reach", "close", "lift", "hold"]
    phases = [phase for phase, _ in itertools.groupby(each[1] for each in hand.log)]
    assert phases == [Phase.REACH, Phase.CLOSE, Phase.LIFT, Phase.HOLD]
    up = hand.log[-1][2][2, 3] - hand.plan.grasp.palm_pose[2, 3]
    assert up == pytest.approx(0.2, abs=0.02)
    before = hand.log[-1]
    hand.tick()
    assert np.array_equal(hand.log[-1][2], before[2])  # it holds still after the outcome


def test_what_is_held_is_put_down_where_it_was_and_let_go():
    hand = Hand(place=True)
    hand.until()
    assert hand.ended == (
        OutcomeKind.SUCCEEDED,
        "the object was lifted, held, set down and released",
    )
    assert stages(hand) == list(Stage)
    placed = [each for each in hand.log if each[0] == "place"][-1]
    assert placed[2] == pytest.approx(hand.plan.grasp.palm_pose, abs=5e-3)
    assert hand.joints == pytest.approx(hand.plan.open_joints, abs=1e-6)
    assert hand.wrist[2, 3] > 0.25


def test_it_begins_above_the_object_as_episodes_do():
    hand = Hand()
    hand.until("reach")
    first = hand.student.seen[0] if hand.student.seen else None
    hand.tick()
    first = first or hand.student.seen[0]
    assert first.wrists[0, 2, 3] == pytest.approx(TASK.start_height, abs=1e-3)
    middle = 0.5 * (CLOUD.min(axis=0) + CLOUD.max(axis=0))
    assert first.wrists[0, :2, 3] == pytest.approx(middle[:2], abs=2e-3)
    assert first.joints == pytest.approx(0.0, abs=1e-6)
    assert first.clouds.shape == (1, 256, 3)
    assert np.array_equal(first.goals[0], hand.plan.grasp.palm_pose)


def test_the_students_steps_are_a_rate_apart_and_even_between():
    hand = Hand(Known(), time_limit=600.0)
    hand.until("reach")
    ticks, steps = len(hand.log), len(hand.student.seen)
    for _ in range(30):
        hand.tick()
    assert (len(hand.student.seen) - steps) == pytest.approx(30 * PERIOD * TASK.rate, abs=2)
    places = np.array([each[2][:3, 3] for each in hand.log[ticks - 1 :]])
    speeds = np.linalg.norm(np.diff(places, axis=0), axis=1) / PERIOD
    assert speeds.max() < 0.6
    # The student sees the hand where it wanted it.
    seen = hand.student.seen[-1]
    assert seen.wrists == pytest.approx(seen.wrist_targets, abs=1e-6)


def test_a_hand_that_stays_is_given_up():
    hand = Hand(Known(stays=True), time_limit=1.0)
    hand.until()
    assert hand.ended == (OutcomeKind.ABORTED, "the object was not up after 1 s")


def test_a_grip_that_goes_is_told():
    hand = Hand()
    hand.until("lift")
    hand.holds = False
    hand.until()
    assert hand.ended[0] is OutcomeKind.SLIPPED
    assert "the grip was lost during lift" in hand.ended[1]
    nothing = Hand()
    nothing.holds = False
    nothing.until()
    assert nothing.ended == (OutcomeKind.SLIPPED, "the fingers closed on nothing")


@pytest.mark.parametrize("cloud", [None, np.zeros((0, 3)), np.full((5, 3), np.nan)])
def test_without_a_cloud_it_does_not_move(cloud):
    hand = Hand()
    hand.cloud, before = cloud, hand.wrist
    hand.tick()
    assert hand.ended[0] is OutcomeKind.NO_CLOUD
    assert np.array_equal(hand.wrist, before)


def test_it_ends_when_it_is_told_to_and_the_first_word_stands():
    hand = Hand()
    hand.until("close")
    hand.controller.abort("a person said so")
    hand.controller.abort("again", OutcomeKind.SLIPPED)
    before = hand.wrist
    hand.tick()
    assert hand.ended == (OutcomeKind.ABORTED, "a person said so")
    assert np.array_equal(hand.wrist, before)


def test_a_hand_that_points_down_is_turned_level_first():
    hand = Hand()
    hand.wrist[:3, :3] = np.diag([1.0, -1.0, -1.0])  # the fingers point down
    hand.until()
    assert hand.ended[0] is OutcomeKind.SUCCEEDED


def test_what_it_needs_is_told(tmp_path):
    kind = CONTROLLERS["policy"]
    assert kind.needs == {Need.PLAN, Need.GOAL, Need.CLOUD}
    with pytest.raises(ValueError, match="needs a plan"):
        kind.make(GoalControllerConfig(), ControllerSetup(PERIOD, None, HAND))
    with pytest.raises(WeightsError, match="no such file"):
        make_student(replace(GoalControllerConfig(), weights=str(tmp_path / "none")), TASK)


def test_a_package_without_weights_says_what_to_name(monkeypatch, tmp_path):
    monkeypatch.setattr(learned_goal, "POLICY_WEIGHTS", tmp_path / "policy.safetensors")
    with pytest.raises(ValueError, match=r"no trained student comes .* in policy\.weights"):
        make_student(GoalControllerConfig(), TASK)
