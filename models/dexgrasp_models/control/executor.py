"""The planned executor: carries out one planned grasp, stage by stage, as a pure state machine.

Time is that of the measured states; the same states give the same commands to the bit. When states
come late, the motion waits for them instead of jumping.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from dexgrasp_models.control.controllers import ControllerKind, Need
from dexgrasp_models.control.grip_watch import GripConfig, GripWatch
from dexgrasp_models.control.setup import ControllerSetup
from dexgrasp_models.control.trajectory import (
    JointMotion,
    MotionBounds,
    PosePath,
    WristAndFingerMotion,
    pose_distance,
)
from dexgrasp_models.control.types import (
    Command,
    Observation,
    Outcome,
    OutcomeKind,
    Phase,
    RobotState,
)
from dexgrasp_models.parameters import parameter

_LONGEST_STEP = 0.04
"""Seconds by which one state advances the motion at most, where states are not to come more seldom:
it waits for those that are late."""


class Stage(StrEnum):
    """What the executor goes through, in order."""

    PREGRASP = "pregrasp"
    APPROACH = "approach"
    CLOSE = "close"
    SQUEEZE = "squeeze"
    LIFT = "lift"
    HOLD = "hold"
    PLACE = "place"
    RELEASE = "release"


_PHASES = {
    Stage.PREGRASP: Phase.REACH,
    Stage.APPROACH: Phase.REACH,
    Stage.CLOSE: Phase.CLOSE,
    Stage.SQUEEZE: Phase.CLOSE,
    Stage.LIFT: Phase.LIFT,
    Stage.HOLD: Phase.HOLD,
    Stage.PLACE: Phase.PLACE,
    Stage.RELEASE: Phase.RELEASE,
}


@dataclass(frozen=True)
class ExecutorConfig(GripConfig):
    """Speeds, durations and thresholds of the planned executor."""

    transit_speed: float = parameter(0.45, 0.02, 1.0, "m/s", "wrist, far from the object")
    transit_acceleration: float = parameter(1.5, 0.1, 5.0, "m/s^2", "wrist, far from the object")
    angular_speed: float = parameter(2.0, 0.1, 4.0, "rad/s", "turning of the wrist")
    angular_acceleration: float = parameter(8.0, 0.5, 30.0, "rad/s^2", "turning of the wrist")
    approach_speed: float = parameter(0.2, 0.01, 0.5, "m/s", "wrist, near the object")
    approach_acceleration: float = parameter(0.8, 0.05, 3.0, "m/s^2", "wrist, near the object")
    finger_speed: float = parameter(1.8, 0.1, 6.0, "rad/s", "fastest finger joint")
    close_time: float = parameter(1.0, 0.1, 5.0, "s", "least time from open hand to grasp")
    squeeze_time: float = parameter(0.7, 0.1, 5.0, "s", "least time from grasp to squeeze targets")
    lift_height: float = parameter(0.2, 0.02, 0.5, "m", "how far the object is raised")
    lift_speed: float = parameter(0.2, 0.01, 0.5, "m/s", "lifting and placing")
    lift_acceleration: float = parameter(0.6, 0.05, 3.0, "m/s^2", "lifting and placing")
    hold_time: float = parameter(2.0, 0.0, 60.0, "s", "how long the object is held up")
    release_time: float = parameter(0.8, 0.1, 5.0, "s", "least time of opening the hand")
    settle_time: float = parameter(
        0.4, 0.0, 5.0, "s", "longest wait for the wrist at the end of a stage"
    )
    arrival_distance: float = parameter(
        0.003, 0.0005, 0.02, "m", "wrist error below which it has arrived"
    )
    arrival_angle: float = parameter(
        0.03, 0.002, 0.2, "rad", "wrist error below which it has arrived"
    )
    tracking_distance: float = parameter(
        0.08, 0.01, 0.3, "m", "wrist error above which the motion is given up"
    )
    support_distance: float = parameter(
        0.01, 0.002, 0.05, "m", "wrist held up this far while placing means it is set down"
    )


class PlannedExecutor:
    """Pre-grasp, approach, close, squeeze, lift, hold, place, release.

    The grip (see `GripWatch`) is watched while the object is up. At the end of the hold the
    cameras' word decides whether it was lifted, where they give one, and else the grip. Where there
    is a sight, the hold lasts until it has the cameras' word.

    Args:
        config: speeds, durations and thresholds.
        setup: the plan, the hand, and what is to be done.

    Raises:
        ValueError: the setup has no plan.
    """

    def __init__(self, config: ExecutorConfig, setup: ControllerSetup) -> None:
        if setup.plan is None:
            raise ValueError("the planned executor needs a plan")
        self._plan = setup.plan
        self._config = config
        self._place = setup.place
        self._longest_step = max(_LONGEST_STEP, setup.period)
        self._grip = GripWatch(config, setup)
        self._stage = Stage.PREGRASP
        self._elapsed = 0.0
        self._latest = 0.0
        self._motion: WristAndFingerMotion | None = None
        # From the first step on.
        self._nominal: Command
        self._command: Command
        self._wrist_height = np.inf
        self._lifted_by = ""
        self._outcome: Outcome | None = None

    @property
    def phase(self) -> Phase:
        """What the present stage is about."""
        return _PHASES[self._stage]

    @property
    def stage(self) -> str:
        """Name of the present stage; the last one reached when the grasp has ended."""
        return self._stage.value

    @property
    def progress(self) -> float:
        """Fraction of the present stage's planned time that has passed, in [0, 1]."""
        if self._motion is None:
            return 0.0
        duration = self._motion.duration
        return min(self._elapsed / duration, 1.0) if duration > 0.0 else 1.0

    @property
    def outcome(self) -> Outcome | None:
        """How the grasp ended and why; None while it goes on."""
        return self._outcome

    def abort(self, reason: str, kind: OutcomeKind = OutcomeKind.ABORTED) -> None:
        """End the grasp now; later steps repeat the last command. The first outcome stands."""
        if self._outcome is None:
            self._outcome = Outcome(kind, reason)

    def step(self, observation: Observation) -> Command:
        """The command for this tick; after the outcome is known, one that holds still."""
        state = observation.state
        if self._motion is None:
            self._nominal = Command(state.wrist_pose.copy(), state.joints.copy())
            self._command = self._nominal
            self._latest = state.time
            self._begin(Stage.PREGRASP)
        assert self._motion is not None
        if self._outcome is None:
            self._elapsed += min(state.time - self._latest, self._longest_step)
            self._latest = state.time
            self._watch_wrist(state)
            targets = self._command.finger_targets
            self._end(self._grip.loss(targets, state, self.phase, self.stage))
            if self._outcome is None and self._stage_done(state):
                self._advance(state)
            self._wrist_height = state.wrist_pose[2, 3]
        if self._outcome is None:
            self._nominal = self._motion.targets(self._elapsed)
            self._command = Command(
                self._nominal.wrist_target,
                self._grip.bounded(self._nominal.finger_targets, state.joints),
            )
        return self._command

    # --- stages -----------------------------------------------------------------------------

    def _begin(self, stage: Stage) -> None:
        self._stage = stage
        self._elapsed = 0.0
        self._motion = self._motion_of(stage)

    def _motion_of(self, stage: Stage) -> WristAndFingerMotion:
        """The motion of ``stage``, from the present nominal targets."""
        c, plan = self._config, self._plan
        wrist, fingers = self._nominal.wrist_target, self._nominal.finger_targets

        def moved(waypoints: list[np.ndarray], speed: float, acceleration: float) -> PosePath:
            bounds = MotionBounds(speed, acceleration, c.angular_speed, c.angular_acceleration)
            return PosePath(waypoints, bounds)

        def to(joints: np.ndarray, least_duration: float = 0.0) -> JointMotion:
            return JointMotion(fingers, joints, c.finger_speed, least_duration)

        def lifting(way: list[np.ndarray]) -> PosePath:
            return moved(way, c.lift_speed, c.lift_acceleration)

        still = moved([wrist], c.approach_speed, c.approach_acceleration)
        match stage:
            case Stage.PREGRASP:
                way = moved(plan.transit(wrist), c.transit_speed, c.transit_acceleration)
                return WristAndFingerMotion(way, to(plan.open_joints))
            case Stage.APPROACH:
                ahead = [wrist, plan.grasp.palm_pose]
                return WristAndFingerMotion(
                    moved(ahead, c.approach_speed, c.approach_acceleration), to(fingers)
                )
            case Stage.CLOSE:
                return WristAndFingerMotion(still, to(plan.grasp.joints, c.close_time))
            case Stage.SQUEEZE:
                return WristAndFingerMotion(still, to(plan.grasp.squeeze_joints, c.squeeze_time))
            case Stage.LIFT:
                up = lifting([wrist, _raised(wrist, c.lift_height)])
                return WristAndFingerMotion(up, to(fingers))
            case Stage.HOLD:
                return WristAndFingerMotion(still, to(fingers), least_duration=c.hold_time)
            case Stage.PLACE:
                down = lifting([wrist, _raised(wrist, -c.lift_height)])
                return WristAndFingerMotion(down, to(fingers))
            case Stage.RELEASE:
                opening = to(plan.open_joints, c.release_time)
                way = moved(plan.retreat(wrist), c.approach_speed, c.approach_acceleration)
                return WristAndFingerMotion(way, opening, wrist_delay=opening.duration)

    def _stage_done(self, state: RobotState) -> bool:
        if self._stage is Stage.PLACE and self._is_set_down(state):
            return True
        assert self._motion is not None
        overdue = self._elapsed - self._motion.duration
        over = overdue >= 0.0 and (self._arrived(state) or overdue >= self._config.settle_time)
        if over and self._stage is Stage.HOLD:
            return not self._grip.awaits_sight
        return over

    def _advance(self, state: RobotState) -> None:
        """Go on to the next stage, or end after the last one."""
        targets = self._command.finger_targets
        match self._stage:
            case Stage.CLOSE:
                self._grip.begin(targets, state.joints)
            case Stage.SQUEEZE:
                self._end(self._grip.complete(targets, state.joints))
            case Stage.LIFT:
                self._grip.lifted(targets, state.joints)
            case Stage.HOLD:
                self._judge_lift(state)
            case Stage.RELEASE:
                self._succeed("the object was lifted, held, set down and released")
        if self._outcome is None:
            assert self._motion is not None
            self._nominal = self._motion.targets(self._elapsed)
            stages = list(Stage)
            self._begin(stages[stages.index(self._stage) + 1])

    def _judge_lift(self, state: RobotState) -> None:
        """End the grasp where the object was not lifted, or is not to be put down."""
        verdict = self._grip.verdict(self._command.finger_targets, state.joints)
        if not verdict.lifted:
            self.abort(f"the object was not lifted: {verdict.reason}", OutcomeKind.SLIPPED)
            return
        self._lifted_by = verdict.by.value
        if not self._place:
            self._succeed(f"the object was lifted and held: {verdict.reason}")

    def _end(self, outcome: Outcome | None) -> None:
        """Take an outcome, where there is one; the first stands."""
        self._outcome = self._outcome or outcome

    def _succeed(self, reason: str) -> None:
        self._outcome = Outcome(OutcomeKind.SUCCEEDED, reason, self._lifted_by)

    # --- what the measurements say ----------------------------------------------------------

    def _arrived(self, state: RobotState) -> bool:
        distance, angle = pose_distance(self._nominal.wrist_target, state.wrist_pose)
        return distance < self._config.arrival_distance and angle < self._config.arrival_angle

    def _is_set_down(self, state: RobotState) -> bool:
        """Whether the wrist has stopped going down well above its target: the table carries."""
        height = state.wrist_pose[2, 3]
        above = height - self._nominal.wrist_target[2, 3]
        return above > self._config.support_distance and height > self._wrist_height - 1e-4

    def _watch_wrist(self, state: RobotState) -> None:
        distance, _ = pose_distance(self._nominal.wrist_target, state.wrist_pose)
        if distance > self._config.tracking_distance:
            self.abort(
                f"the wrist is {distance:.3f} m from its target during {self.stage}; "
                "something is in its way or the arm does not follow"
            )


KIND = ControllerKind(ExecutorConfig, PlannedExecutor, frozenset({Need.PLAN}))


def _raised(pose: np.ndarray, height: float) -> np.ndarray:
    raised = pose.copy()
    raised[2, 3] += height
    return raised
