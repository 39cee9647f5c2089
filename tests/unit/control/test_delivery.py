"""What a controller has lifted is carried over a box: stages, ends, and what is told."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dexgrasp_models.control.carry import CarryConfig, CarryPlanner
from dexgrasp_models.control.delivery import Delivery
from dexgrasp_models.control.executor import ExecutorConfig
from dexgrasp_models.control.limits import SafetyLimits
from dexgrasp_models.control.setup import ControllerSetup
from dexgrasp_models.control.types import (
    Command,
    Observation,
    Outcome,
    OutcomeKind,
    Phase,
    RobotState,
)
from dexgrasp_models.hand.spec import load_hand

PERIOD = 0.02
HAND = load_hand()
CONFIG = CarryConfig(speed=0.25, acceleration=0.6)
BOX = np.array(CONFIG.box_position)
CLOUD = 0.03 * np.random.default_rng(0).normal(size=(50, 3)) + [0.02, 0.0, 0.05]
PRESS = HAND.couple(np.clip(np.full(22, 0.45), *HAND.limits.T))


class Lifting:
    """Raises the wrist by 0.15 m in half a second, the fingers pressing, and has succeeded."""

    progress = 0.0

    def __init__(self, kind: OutcomeKind = OutcomeKind.SUCCEEDED) -> None:
        self.kind = kind
        self.phase = Phase.REACH
        self.outcome: Outcome | None = None
        self.ticks = 0
        self.follows_wrist = True

    @property
    def stage(self) -> str:
        return self.phase

    def step(self, observation: Observation) -> Command:
        self.ticks += 1
        self.phase = Phase.CLOSE if self.ticks < 3 else Phase.LIFT
        self.follows_wrist = self.ticks < 3
        pose = np.eye(4)
        pose[:3, 3] = [0.0, 0.0, 0.15 + 0.15 * np.clip((self.ticks - 3) / 25, 0.0, 1.0)]
        if self.ticks == 40:
            self.outcome = Outcome(self.kind, "held", "grip")
        return Command(pose, PRESS)

    def abort(self, reason: str, kind: OutcomeKind = OutcomeKind.ABORTED) -> None:
        self.outcome = self.outcome or Outcome(kind, reason)


class Robot:
    """Follows at once; an object stops the fingers at 0.3 rad until it is lost."""

    def __init__(self, grasp: Lifting | None = None, reachable=lambda way: True) -> None:
        planner = CarryPlanner(BOX, CONFIG, SafetyLimits(), HAND, np.zeros((0, 3)), reachable)
        setup = ControllerSetup(PERIOD, carry=planner)
        self.grasp = grasp or Lifting()
        self.controller = Delivery(self.grasp, planner, ExecutorConfig(), setup)
        self.time, self.wrist, self.joints = 1.0, np.eye(4), np.full(22, 0.3)
        self.wrist[2, 3] = 0.15
        self.stops: float = 0.3
        self.log: list[tuple[str, Phase, Command]] = []

    def tick(self) -> Command:
        state = RobotState(self.time, self.wrist, self.joints, np.zeros(22))
        command = self.controller.step(Observation(state, object_points=CLOUD))
        self.log.append((self.controller.stage, self.controller.phase, command))
        self.wrist = command.wrist_target
        self.joints = np.minimum(command.finger_targets, self.stops)
        self.time += PERIOD
        return command

    def until(self, stage: str) -> None:
        while self.controller.stage != stage:
            assert self.controller.outcome is None
            self.tick()

    def finish(self) -> Outcome:
        while self.controller.outcome is None:
            self.tick()
            assert self.time < 60.0
        return self.controller.outcome


def test_it_goes_through_all_stages_and_releases_the_object_over_the_box():
    robot = Robot()
    outcome = robot.finish()
    assert (outcome.kind, outcome.lifted_by) == (OutcomeKind.SUCCEEDED, "grip")
    assert outcome.reason.startswith("the object was lifted, carried over the box and released")
    assert outcome.reason.endswith("nobody looked whether it lies in there")
    stages = [(stage, phase) for (stage, phase), _ in itertools.groupby(robot.log, lambda e: e[:2])]
    assert stages == [
        ("close", Phase.CLOSE),
        ("lift", Phase.LIFT),
        ("carry", Phase.CARRY),
        ("release", Phase.RELEASE),
    ]
    carried = [command for stage, _, command in robot.log if stage == "carry"]
    assert all(command.finger_targets == pytest.approx(PRESS) for command in carried)
    middle = 0.5 * (CLOUD.min(axis=0) + CLOUD.max(axis=0))
    assert robot.wrist[:2, 3] + middle[:2] == pytest.approx(BOX[:2])
    released = PRESS * [name == "rh_THJ4" for name in HAND.finger_joints]  # the thumb stays across
    assert robot.log[-1][2].finger_targets == pytest.approx(released, abs=1e-9)
    open_at = next(
        c for s, _, c in robot.log if s == "release" and np.allclose(c.finger_targets, released)
    )
    assert robot.wrist[2, 3] - open_at.wrist_target[2, 3] == pytest.approx(CONFIG.retreat)
    assert robot.controller.progress == 1.0


def test_nothing_jumps_and_it_is_as_slow_as_asked_for():
    robot = Robot()
    robot.finish()
    places = np.array([command.wrist_target[:3, 3] for _, _, command in robot.log])
    speeds = np.linalg.norm(np.diff(places, axis=0), axis=1) / PERIOD
    carry = np.array([stage == "carry" for stage, _, _ in robot.log])[1:]
    assert speeds[carry].max() <= CONFIG.speed + 1e-6
    assert speeds[carry].max() > 0.8 * CONFIG.speed
    fingers = np.array([command.finger_targets for _, _, command in robot.log])
    assert np.abs(np.diff(fingers, axis=0)).max() / PERIOD <= ExecutorConfig().finger_speed + 1e-6


@pytest.mark.parametrize("stage", ["close", "lift", "carry", "release"])
def test_it_can_be_aborted_in_every_stage(stage):
    robot = Robot()
    robot.until(stage)
    last = robot.tick()
    robot.controller.abort("enough")
    for _ in range(3):
        assert np.array_equal(robot.tick().wrist_target, last.wrist_target)
    assert robot.controller.outcome == Outcome(OutcomeKind.ABORTED, "enough")
    robot.controller.abort("again")
    assert robot.controller.outcome.reason == "enough"
    assert robot.controller.stage == stage


def test_a_grasp_that_failed_is_not_carried():
    robot = Robot(Lifting(OutcomeKind.SLIPPED))
    assert robot.finish() == Outcome(OutcomeKind.SLIPPED, "held", "grip")
    assert "carry" not in {stage for stage, _, _ in robot.log}


def test_an_object_that_is_lost_on_the_way_is_dropped():
    robot = Robot()
    robot.until("carry")
    for _ in range(10):
        robot.tick()
    robot.stops = np.inf
    before = robot.time
    outcome = robot.finish()
    assert outcome.kind is OutcomeKind.DROPPED
    assert outcome.reason.startswith("the grip was lost during carry")
    assert robot.time - before < 0.3


def test_where_there_is_no_way_the_object_is_held_up():
    robot = Robot(reachable=lambda way: False)
    outcome = robot.finish()
    assert outcome.kind is OutcomeKind.NO_APPROACH
    assert outcome.reason.startswith("the object is held where it is: the box at")
    assert robot.tick().finger_targets == pytest.approx(PRESS)


def test_a_wrist_that_does_not_follow_is_told():
    robot = Robot()
    robot.until("carry")
    stuck = robot.wrist
    for _ in range(200):
        robot.tick()
        robot.wrist = stuck
    assert robot.controller.outcome.kind is OutcomeKind.ABORTED
    assert "something is in its way" in robot.controller.outcome.reason


def test_the_persons_wrist_is_followed_as_the_grasp_says_and_never_on_the_way():
    robot = Robot()
    robot.tick()
    assert robot.controller.follows_wrist
    robot.until("lift")
    assert not robot.controller.follows_wrist
    robot.grasp.follows_wrist = True
    robot.until("carry")
    assert not robot.controller.follows_wrist
