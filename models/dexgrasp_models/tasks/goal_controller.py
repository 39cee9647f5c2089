"""The controller ``policy``: a student of the goal-conditioned task takes the grasp, and lifts it.

UniDexGrasp (Xu et al., CVPR 2023), 3.3, on one hand: it is brought to where the task's episodes
begin, then the student moves wrist and fingers at the task's rate until the object is up. Holding
and putting down are no part of the task, and are done as the planned executor does them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from dexgrasp_models.control.approach_plan import at_height
from dexgrasp_models.control.controllers import ControllerKind, Need
from dexgrasp_models.control.executor import ExecutorConfig
from dexgrasp_models.control.grip_watch import GripWatch
from dexgrasp_models.control.setup import ControllerSetup
from dexgrasp_models.control.trajectory import (
    JointMotion,
    MotionBounds,
    PosePath,
    WristAndFingerMotion,
    interpolate_pose,
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
from dexgrasp_models.geometry.farthest_points import farthest_points
from dexgrasp_models.parameters import parameter, text
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_models.tasks.goal_action import acted, action_size
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_frame import first_hands, reference_frames
from dexgrasp_models.tasks.goal_student import StudentView

_LONGEST_STEP = 0.04
"""Seconds by which one state advances the motion at most."""
_ROUNDING = 1e-6
"""Seconds by which a tick may be early and still be the step that is due."""
_LEVEL = 1e-3
"""Least share of the fingers' direction that is level, by which the hand's turn is known."""
_POINTS = 256
"""Points of the cloud, as in training."""


class Acting(Protocol):
    """What moves the hand."""

    def actions(self, view: StudentView) -> np.ndarray:
        """(1, 24), see `acted`."""


@dataclass(frozen=True)
class GoalControllerConfig(ExecutorConfig):
    """Settings of the controller. What it shares with the planned executor is of the ways that the
    student has no part in; the task itself is `GoalConfig`'s."""

    weights: str = text("", "file of the student; empty: what comes with the package")
    near: float = parameter(0.02, 0.002, 0.1, "m", "from the grasp, within which the hand closes")
    near_angle: float = parameter(0.3, 0.01, 1.0, "rad", "likewise")
    raised: float = parameter(
        0.02, 0.002, 0.1, "m", "rise of a palm that was at the grasp which is the lift"
    )
    time_limit: float = parameter(
        15.0, 1.0, 600.0, "s", "of the student, after which an object that isn't up is given up"
    )


class Stage(StrEnum):
    """What the controller goes through, in order."""

    READY = "ready"
    """The hand goes to where episodes begin."""
    REACH = "reach"
    CLOSE = "close"
    LIFT = "lift"
    HOLD = "hold"
    PLACE = "place"
    RELEASE = "release"


_PHASES = {Stage.READY: Phase.REACH} | {stage: Phase(stage) for stage in list(Stage)[1:]}
_STUDENTS = (Stage.REACH, Stage.CLOSE, Stage.LIFT)


class GoalController:
    """Ready, reach, close, lift, hold, place, release; a `Controller`.

    The student's steps are `1 / rate` apart, to a tick, and its targets are reached evenly until
    the next one. It sees the cloud of the first observation to the last. Stages that it acts in
    tell what the hand has come to: near the grasp it closes, risen from there it lifts.

    Args:
        config: thresholds, and which student.
        setup: of the grasp; its plan is of no use but for the retreat.
        student: makes what moves the hand.
        task: the numbers that it was trained with.

    Raises:
        ValueError: the setup has no plan, or the student can't be made.
    """

    def __init__(
        self,
        config: GoalControllerConfig,
        setup: ControllerSetup,
        student: Callable[[GoalControllerConfig, GoalConfig], Acting] | None = None,
        task: GoalConfig | None = None,
    ) -> None:
        if setup.plan is None:
            raise ValueError("the controller policy needs a plan, to let go by")
        self._config, self._plan, self._hand = config, setup.plan, setup.hand
        self._place, self._period = setup.place, setup.period
        self._task = task or GoalConfig()
        self._student = (student or make_student)(config, self._task)
        self._grip = GripWatch(config, setup)
        self._pressing = False
        self._stage = Stage.READY
        self._began: float | None = None
        self._latest = self._elapsed = self._acting = 0.0  # s
        self._motion: WristAndFingerMotion | None = None
        self._outcome: Outcome | None = None
        self._lifted_by = ""
        # From the first step on.
        self._command: Command
        self._cloud: np.ndarray
        # From the student's first step on: where it came from, where it goes, and since when.
        self._from: Command
        self._to: Command
        self._since = 0.0
        self._frames: np.ndarray
        self._actions = np.zeros((1, action_size(setup.hand)))

    # What is told

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
        """Fraction of the present stage that is done, in [0, 1]; 0 where the student decides."""
        if self._motion is not None:
            return float(np.clip(self._elapsed / max(self._motion.duration, 1e-9), 0.0, 1.0))
        if self._stage is Stage.LIFT:
            return float(np.clip(self._rise(self._command.wrist_target), 0.0, 1.0))
        return 0.0

    @property
    def outcome(self) -> Outcome | None:
        """How the grasp ended and why; None while it goes on."""
        return self._outcome

    def abort(self, reason: str, kind: OutcomeKind = OutcomeKind.ABORTED) -> None:
        """End the grasp now; later steps repeat the last command. The first outcome stands."""
        self._end(Outcome(kind, reason))

    # The tick

    def step(self, observation: Observation) -> Command:
        """The command for this tick; after the outcome is known, one that holds still."""
        state = observation.state
        if self._began is None:
            self._begin(observation)
        elapsed = min(state.time - self._latest, _LONGEST_STEP)
        self._latest = state.time
        if self._outcome is None:
            targets = self._command.finger_targets
            self._end(self._grip.loss(targets, state, self.phase, self.stage))
        if self._outcome is None:
            self._elapsed += elapsed
            self._advance(observation)
        if self._outcome is None:
            self._command = self._next(observation, elapsed)
        return self._command

    def _begin(self, observation: Observation) -> None:
        state, points = observation.state, observation.object_points
        self._began = self._latest = state.time
        self._command = Command(state.wrist_pose.copy(), state.joints.copy())
        if points is None or not len(points) or not np.isfinite(points).all():
            self.abort("there is no finite cloud of the object", OutcomeKind.NO_CLOUD)
            return
        chosen = np.resize(farthest_points(points, _POINTS), _POINTS)
        self._cloud = np.asarray(points, dtype=float)[chosen]
        start = self._first_hand(state.wrist_pose)
        way = [state.wrist_pose, at_height(state.wrist_pose, start[2, 3]), start]
        fingers = JointMotion(state.joints, np.zeros_like(state.joints), self._config.finger_speed)
        self._enter(Stage.READY, WristAndFingerMotion(self._transit(way), fingers))

    def _first_hand(self, wrist: np.ndarray) -> np.ndarray:
        """(4, 4) above the object, palm down, turned as the hand is now."""
        x, y, _ = wrist[:3, 2]
        yaw = np.arctan2(x, -y) if np.hypot(x, y) > _LEVEL else 0.0
        start = first_hands(np.array([yaw]), self._task.start_height)[0]
        start[:2, 3] = 0.5 * (self._cloud.min(axis=0) + self._cloud.max(axis=0))[:2]
        return start

    # Stages

    def _enter(self, stage: Stage, motion: WristAndFingerMotion | None = None) -> None:
        self._stage, self._elapsed, self._motion = stage, 0.0, motion

    def _advance(self, observation: Observation) -> None:
        """Go on to the next stage where it is time, or end after the last one."""
        state, goal = observation.state, self._plan.grasp
        targets = self._command.finger_targets
        if self._stage in _STUDENTS and self._acting > self._config.time_limit:
            self.abort(f"the object was not up after {self._config.time_limit:g} s")
            return
        match self._stage:
            case Stage.READY if self._motion_over():
                self._start_student(state)
            case Stage.REACH if self._is_near(state.wrist_pose, goal):
                self._enter(Stage.CLOSE)
            case Stage.CLOSE:
                if not self._pressing and self._presses(targets, goal):
                    self._pressing = True
                    self._grip.begin(targets, state.joints)
                if self._height(state.wrist_pose) > self._config.raised:
                    self._begin_lift(state)
            case Stage.LIFT if self._rise(state.wrist_pose) >= 1.0:
                self._grip.lifted(targets, state.joints)
                self._enter(Stage.HOLD, self._still(self._config.hold_time))
            case Stage.HOLD if self._motion_over() and not self._grip.awaits_sight:
                self._judge(state)
            case Stage.PLACE if self._motion_over():
                self._begin_release()
            case Stage.RELEASE if self._motion_over():
                reason = "the object was lifted, held, set down and released"
                self._end(Outcome(OutcomeKind.SUCCEEDED, reason, self._lifted_by))

    def _start_student(self, state: RobotState) -> None:
        self._frames = reference_frames(state.wrist_pose[None])
        self._from = self._to = self._command
        self._since = -np.inf
        self._enter(Stage.REACH)

    def _begin_lift(self, state: RobotState) -> None:
        targets = self._command.finger_targets
        if not self._pressing:
            self._grip.begin(targets, state.joints)
        self._end(self._grip.complete(targets, state.joints))
        self._enter(Stage.LIFT)

    def _judge(self, state: RobotState) -> None:
        verdict = self._grip.verdict(self._command.finger_targets, state.joints)
        if not verdict.lifted:
            self.abort(f"the object was not lifted: {verdict.reason}", OutcomeKind.SLIPPED)
            return
        self._lifted_by = verdict.by.value
        if not self._place:
            reason = f"the object was lifted and held: {verdict.reason}"
            self._end(Outcome(OutcomeKind.SUCCEEDED, reason, self._lifted_by))
            return
        down = self._command.wrist_target.copy()
        down[2, 3] -= self._height(down)
        self._enter(Stage.PLACE, self._moved([self._command.wrist_target, down]))

    def _begin_release(self) -> None:
        c, now = self._config, self._command
        opening = JointMotion(
            now.finger_targets, self._plan.open_joints, c.finger_speed, c.release_time
        )
        bounds = MotionBounds(
            c.approach_speed, c.approach_acceleration, c.angular_speed, c.angular_acceleration
        )
        away = PosePath(self._plan.retreat(now.wrist_target), bounds)
        motion = WristAndFingerMotion(away, opening, wrist_delay=opening.duration)
        self._enter(Stage.RELEASE, motion)

    # What moves

    def _next(self, observation: Observation, elapsed: float) -> Command:
        if self._motion is not None:
            wanted = self._motion.targets(self._elapsed)
        else:
            self._acting += elapsed
            if observation.state.time - self._since >= self._task.period - _ROUNDING:
                self._act(observation.state)
            wanted = self._between(observation.state.time)
        fingers = self._grip.bounded(wanted.finger_targets, observation.state.joints)
        return Command(wanted.wrist_target, fingers)

    def _act(self, state: RobotState) -> None:
        """One step of the student."""
        grasp, now = self._plan.grasp, self._to
        view = StudentView(
            joints=state.joints[None],
            joint_velocities=state.joint_velocities[None],
            targets=now.finger_targets[None],
            wrists=state.wrist_pose[None],
            wrist_targets=now.wrist_target[None],
            actions=self._actions,
            frames=self._frames,
            goals=grasp.palm_pose[None],
            goal_joints=grasp.joints[None],
            pressed=grasp.squeeze_joints[None],
            clouds=self._cloud[None],
        )
        self._actions = np.clip(self._student.actions(view), -1.0, 1.0)
        wrists, joints = acted(
            view.wrist_targets,
            view.targets,
            view.wrists,
            self._actions,
            self._frames,
            self._hand,
            self._task,
        )
        self._from, self._to, self._since = now, Command(wrists[0], joints[0]), state.time

    def _between(self, time: float) -> Command:
        """The targets on the way from the student's last ones to the present ones."""
        # What is commanded at a tick is where the hand is at the next one.
        share = min((time - self._since + self._period) * self._task.rate, 1.0)
        start, end = self._from, self._to
        return Command(
            interpolate_pose(start.wrist_target, end.wrist_target, share),
            start.finger_targets + share * (end.finger_targets - start.finger_targets),
        )

    def _transit(self, way: list[np.ndarray]) -> PosePath:
        c = self._config
        bounds = MotionBounds(
            c.transit_speed, c.transit_acceleration, c.angular_speed, c.angular_acceleration
        )
        return PosePath(way, bounds)

    def _moved(self, way: list[np.ndarray], least: float = 0.0) -> WristAndFingerMotion:
        """The wrist by the speed of lifting and placing, the fingers as they are."""
        c, fingers = self._config, self._command.finger_targets
        bounds = MotionBounds(
            c.lift_speed, c.lift_acceleration, c.angular_speed, c.angular_acceleration
        )
        still = JointMotion(fingers, fingers, c.finger_speed)
        return WristAndFingerMotion(PosePath(way, bounds), still, least_duration=least)

    def _still(self, duration: float) -> WristAndFingerMotion:
        return self._moved([self._command.wrist_target], duration)

    # What the measurements say

    def _motion_over(self) -> bool:
        return self._motion is not None and self._elapsed >= self._motion.duration

    def _is_near(self, wrist: np.ndarray, goal: Grasp) -> bool:
        distance, angle = pose_distance(goal.palm_pose, wrist)
        return distance < self._config.near and angle < self._config.near_angle

    def _height(self, wrist: np.ndarray) -> float:
        """m of a palm above the grasp."""
        return float(wrist[2, 3] - self._plan.grasp.palm_pose[2, 3])

    def _rise(self, wrist: np.ndarray) -> float:
        return self._height(wrist) / self._config.lift_height

    def _presses(self, targets: np.ndarray, goal: Grasp) -> bool:
        """Whether targets have begun to go from the grasp to what presses."""
        way = goal.squeeze_joints - goal.joints
        return bool((targets - goal.joints) @ way > 0.05 * way @ way)

    def _end(self, outcome: Outcome | None) -> None:
        """Take an outcome, where there is one; the first stands."""
        self._outcome = self._outcome or outcome


def make_student(config: GoalControllerConfig, task: GoalConfig) -> Acting:
    """The student of the settings.

    Raises:
        WeightsError: its weights are missing, or of another hand or network.
        ValueError: none come with the package, nor are any named.
    """
    # PyTorch comes with it; a control node that grasps otherwise has no use for it.
    from dexgrasp_models.tasks.learned_goal import LearnedStudent, weights_of

    return LearnedStudent(weights_of(config.weights), task)


KIND = ControllerKind(
    GoalControllerConfig, GoalController, frozenset({Need.PLAN, Need.GOAL, Need.CLOUD})
)
