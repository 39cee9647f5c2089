"""The controller ``graspgf``: a person moves the wrist, a policy closes the fingers.

GraspGF (Wu et al., NeurIPS 2023), 2, 4.1 and D.2, on one hand. Each tick the wrist goes where the
person's is; the policy acts at the task's rate. Once the wrist has come to rest at the object, or
is raised there, or a button is pressed, the hand closes by itself, and is lifted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from dexgrasp_models.control.controllers import ControllerKind, Need
from dexgrasp_models.control.grip_watch import GripWatch
from dexgrasp_models.control.setup import ControllerSetup
from dexgrasp_models.control.trajectory import MotionBounds, PosePath
from dexgrasp_models.control.types import (
    Command,
    Observation,
    Outcome,
    OutcomeKind,
    Phase,
    RobotState,
)
from dexgrasp_models.geometry.farthest_points import farthest_points
from dexgrasp_models.tasks.assist_action import acted
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_controller_config import (
    AssistControllerConfig,
    PolicyMaker,
    make_closing,
    make_policy,
)
from dexgrasp_models.tasks.assist_observation import WristHistory, from_observation
from dexgrasp_models.tasks.rest import joint_rest, wrist_rest
from dexgrasp_models.tasks.wrist_filter import WristFilter
from dexgrasp_models.tasks.wrist_stream import WristStream

GOES_BY_ITSELF = "the wrist goes by itself: the person's is not followed any more"
_LONGEST_STEP = 0.04
"""Seconds by which one state advances the closing and the lift at most."""
_ROUNDING = 1e-6
"""Seconds by which a tick may be early and still be the step that is due."""


class Stage(StrEnum):
    """What the controller goes through, in order."""

    FOLLOW = "follow"
    """The wrist is far from the object, and the hand opens."""
    ASSIST = "assist"
    """The policy acts."""
    CLOSE = "close"
    """The hand closes by itself, and settles."""
    LIFT = "lift"
    HOLD = "hold"


_PHASES = {
    Stage.FOLLOW: Phase.REACH,
    Stage.ASSIST: Phase.REACH,
    Stage.CLOSE: Phase.CLOSE,
    Stage.LIFT: Phase.LIFT,
    Stage.HOLD: Phase.HOLD,
}


@dataclass(frozen=True, eq=False)
class AssistReport:
    """What the policy did last, for people to see."""

    remark: str
    """Why wrist and fingers hold, or the wrist is not the person's; empty while they follow."""
    wanted: np.ndarray
    """(4, 4) the person's wrist, as followed."""
    action: np.ndarray
    """(18,) in [-1, 1], of the actuators; 1 is the greatest change of a step."""
    gradient: np.ndarray | None
    """(18,) of the primitive, 1/rad, where the policy tells it."""


class AssistController:
    """Follow, assist, close, lift, hold; a `Controller`.

    Whenever the person's wrist can't be followed (see `WristStream`), wrist and fingers hold, and
    time stands still for the closing, until it comes back. Steps of the policy are `1 / rate`
    apart, to a tick, and its targets are held between them, as the environments do it. It sees the
    cloud of the first observation that has one to the last.

    Args:
        config: thresholds, and which policy.
        setup: of the grasp; that an object be put down is not looked at, the person does it. One
            that is to be carried is raised by itself once the person begins to raise it.
        policy: makes what closes the fingers.
        task: the numbers that the policy was trained with.
    """

    def __init__(
        self,
        config: AssistControllerConfig,
        setup: ControllerSetup,
        policy: PolicyMaker = make_policy,
        task: AssistConfig | None = None,
    ) -> None:
        self._config = config
        self._task = replace(task or AssistConfig(), auto_close=config.auto_close)
        self._hand = setup.hand
        self._policy = policy(config, self._task, setup.hand)
        self._close = make_closing(config, self._task, setup.hand)
        self._rises_by_itself = config.lift == "itself" or setup.carry is not None
        self._stream = WristStream(config)
        self._rest = wrist_rest(config.rest_distance, config.rest_angle)
        self._finger_rest = joint_rest(config.rest_fingers)
        self._grip = GripWatch(config, setup)
        smoothed = WristFilter(1, self._task.rate)
        self._history = WristHistory(1, self._task.history, smoothed)
        self._cloud: np.ndarray | None = None  # as many points as the policy sees
        self._began: float | None = None
        self._latest = 0.0
        self._stage = Stage.FOLLOW
        self._elapsed = 0.0  # s in the stage
        self._due = 0.0  # when the policy steps next
        self._closing: float | None = None  # s since the hand began to close by itself
        self._low = np.inf  # lowest height of the person's wrist at the object, m
        self._rise: PosePath | None = None
        self._targets = np.zeros(len(setup.hand.joints))  # the policy's, then those closed
        self._closed_from = self._targets
        self._command: Command  # from the first step on
        self._action = np.zeros(len(setup.hand.actuators))
        self._outcome: Outcome | None = None

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
        """Fraction of the present stage that is done, in [0, 1]; 0 where the person decides."""
        match self._stage:
            case Stage.CLOSE:
                share = (self._closing or 0.0) / self._closing_time
            case Stage.LIFT:
                share = (self._command.wrist_target[2, 3] - self._low) / self._config.lift_height
            case Stage.HOLD:
                share = self._elapsed / max(self._config.hold_time, 1e-9)
            case _:
                share = 0.0
        return float(np.clip(share, 0.0, 1.0))

    @property
    def outcome(self) -> Outcome | None:
        """How the grasp ended and why; None while it goes on."""
        return self._outcome

    @property
    def follows_wrist(self) -> bool:
        """Whether the person moves the wrist; False from where on it rises by itself."""
        return self._rise is None

    @property
    def report(self) -> AssistReport:
        """What the policy did last."""
        gradients = getattr(self._policy, "gradients", None)
        return AssistReport(
            self._stream.remark if self.follows_wrist else GOES_BY_ITSELF,
            self._stream.pose if self.follows_wrist else self._command.wrist_target,
            self._action,
            gradients[0] if gradients is not None and len(gradients) else None,
        )

    def abort(self, reason: str, kind: OutcomeKind = OutcomeKind.ABORTED) -> None:
        """End the grasp now; later steps repeat the last command. The first outcome stands."""
        self._end(Outcome(kind, reason))

    # The tick

    def step(self, observation: Observation) -> Command:
        """The command for this tick; after the outcome is known, one that holds still."""
        state = observation.state
        if self._began is None:
            self._begin(observation)
        if self._outcome is not None:
            return self._command
        elapsed = min(state.time - self._latest, _LONGEST_STEP)
        self._latest = state.time
        self._stream.take(observation)
        if self.follows_wrist:
            self._watch_person(observation)
            if self._outcome is None and not self._stream.fresh:
                self._forget_rest()
                return self._command
        self._watch_object(state)
        if self._outcome is not None:
            return self._command
        self._elapsed += elapsed
        self._advance(observation)
        if self._outcome is not None:
            return self._command
        self._move_fingers(observation, elapsed)
        self._command = Command(
            self._wrist_target(), self._grip.bounded(self._targets, state.joints)
        )
        return self._command

    def _begin(self, observation: Observation) -> None:
        state = observation.state
        self._began = self._latest = self._due = state.time
        self._targets = self._hand.couple(np.clip(state.joints, *self._hand.limits.T))
        self._command = Command(state.wrist_pose.copy(), state.joints.copy())
        points = observation.object_points
        if points is None or not len(points) or not np.isfinite(points).all():
            self.abort("there is no finite cloud of the object", OutcomeKind.NO_CLOUD)
            return
        self._cloud = np.asarray(points, dtype=float)[
            np.resize(farthest_points(points, self._task.points), self._task.points)
        ]

    # Stages

    def _enter(self, stage: Stage) -> None:
        self._stage, self._elapsed = stage, 0.0

    def _advance(self, observation: Observation) -> None:
        """Go on to the next stage where it is time, or end after the last one."""
        config, person, state = self._config, self._stream.pose, observation.state
        match self._stage:
            case Stage.FOLLOW if self._distance(state.wrist_pose) <= config.reach:
                self._history.reset([0], state.wrist_pose[None])
                self._policy.begin(1)
                self._due = state.time
                self._enter(Stage.ASSIST)
            case Stage.ASSIST if observation.close_wanted:
                self._begin_to_close()
            case Stage.ASSIST if self._distance(person) <= config.near:
                self._low = min(self._low, person[2, 3])
                if self._rests(state) or self._raised(person):
                    self._begin_to_close()
            case Stage.ASSIST:
                self._forget_rest()
            case Stage.CLOSE:
                self._low = min(self._low, person[2, 3])
                closed = (self._closing or 0.0) >= self._closing_time
                raised = self._raised(person)
                if raised or (closed and config.lift == "itself"):
                    self._begin_lift(state)
            case Stage.LIFT if self._is_up(state):
                self._grip.lifted(self._command.finger_targets, state.joints)
                self._enter(Stage.HOLD)
            case Stage.HOLD if self._elapsed >= config.hold_time and not self._grip.awaits_sight:
                self._judge(state)

    def _begin_to_close(self) -> None:
        self._closing, self._closed_from = 0.0, self._targets
        self._enter(Stage.CLOSE)

    def _begin_lift(self, state: RobotState) -> None:
        self._end(self._grip.complete(self._command.finger_targets, state.joints))
        if self._rises_by_itself:
            bounds = MotionBounds(self._config.lift_speed, self._config.lift_acceleration, 1.0, 1.0)
            start = self._command.wrist_target
            up = start.copy()
            up[2, 3] = self._low + self._config.lift_height
            self._rise = PosePath([start, up], bounds)
        self._enter(Stage.LIFT)

    def _is_up(self, state: RobotState) -> bool:
        if self._rise is not None:
            return self._elapsed >= self._rise.duration
        return state.wrist_pose[2, 3] - self._low >= self._config.lift_height

    def _judge(self, state: RobotState) -> None:
        verdict = self._grip.verdict(self._command.finger_targets, state.joints)
        if verdict.lifted:
            reason = f"the object was lifted and held: {verdict.reason}"
            self._end(Outcome(OutcomeKind.SUCCEEDED, reason, verdict.by.value))
        else:
            self.abort(f"the object was not lifted: {verdict.reason}", OutcomeKind.SLIPPED)

    # What moves

    def _wrist_target(self) -> np.ndarray:
        if self._rise is None:
            return self._stream.pose
        up = self._stage is Stage.HOLD
        return self._rise.pose(self._rise.duration if up else self._elapsed)

    def _move_fingers(self, observation: Observation, elapsed: float) -> None:
        """The policy's step where one is due; before the fingers open, and then they close."""
        if self._closing is not None:
            self._closing += elapsed
            share = min(self._closing * self._task.rate / self._task.close_steps, 1.0)
            self._targets = self._close(self._closed_from, share)
            self._action = np.zeros_like(self._action)
        elif self._stage is Stage.FOLLOW:
            step = self._config.open_speed * elapsed
            self._targets = self._targets - np.clip(self._targets, -step, step)
        elif observation.state.time >= self._due - _ROUNDING:
            self._due += 1.0 / self._task.rate
            if observation.state.time >= self._due:  # states got lost: no step is made up for
                self._due = observation.state.time + 1.0 / self._task.rate
            self._history.push(observation.state.wrist_pose[None])
            seen = from_observation(
                replace(observation, object_points=self._cloud),
                self._history,
                self._hand,
                self._task.points,
                self._targets,
            )
            self._action = np.clip(self._policy.actions(seen)[0], -1.0, 1.0)
            self._targets = acted(self._targets[None], self._action[None], self._hand, self._task)[
                0
            ]

    # What the measurements say

    @property
    def _closing_time(self) -> float:
        """Seconds in which the hand closes by itself, and settles."""
        return (self._task.close_steps + self._task.settle_steps) / self._task.rate

    def _distance(self, palm_pose: np.ndarray) -> float:
        """From the palm to the nearest point of the object, m."""
        assert self._cloud is not None
        return float(np.linalg.norm(self._cloud - palm_pose[:3, 3], axis=1).min())

    def _rests(self, state: RobotState) -> bool:
        """Whether the person's wrist is at rest, and the fingers too, or will not come to it."""
        wrist = self._rest.push(state.time, self._stream.pose)
        fingers = self._finger_rest.push(state.time, self._hand.reduction @ state.joints)
        config = self._config
        return wrist >= config.rest_time and (
            fingers >= config.rest_time or wrist >= config.most_rest
        )

    def _forget_rest(self) -> None:
        self._rest.forget()
        self._finger_rest.forget()

    def _raised(self, person: np.ndarray) -> bool:
        return bool(person[2, 3] - self._low >= self._config.raised)

    def _watch_person(self, observation: Observation) -> None:
        if (reason := self._stream.lost(observation)) is not None:
            self.abort(reason, OutcomeKind.STALE_INPUT)
        early = self._stage not in (Stage.LIFT, Stage.HOLD)
        assert self._began is not None
        if early and observation.state.time - self._began > self._config.time_limit:
            self.abort(f"the hand was not raised within {self._config.time_limit:g} s")

    def _watch_object(self, state: RobotState) -> None:
        targets = self._command.finger_targets
        self._end(self._grip.loss(targets, state, self.phase, self.stage))

    def _end(self, outcome: Outcome | None) -> None:
        """Take an outcome, where there is one; the first stands."""
        self._outcome = self._outcome or outcome


KIND = ControllerKind(
    AssistControllerConfig,
    AssistController,
    frozenset({Need.CLOUD, Need.WRIST_STREAM}),
)
