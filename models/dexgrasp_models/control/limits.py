"""The last gate before the robot: bounds on every command, and distrust of every measurement.

``GuardedController`` wraps any controller with both, so that the planned executor and learned
policies pass through the same checks in simulation and on hardware.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.controllers import Need, lacking
from dexgrasp_models.control.trajectory import pose_distance
from dexgrasp_models.control.types import (
    Command,
    Controller,
    Observation,
    OutcomeKind,
    RobotState,
)
from dexgrasp_models.control.wrapped import WrappedController
from dexgrasp_models.parameters import Parameters, parameter

LONGEST_GAP = 2.0
"""Control periods that one command may make up for when measured states were lost."""
_ROTATION_TOLERANCE = 1e-3
"""Greatest entry of R^T R - 1 at which a matrix is still taken for a rotation."""


@dataclass(frozen=True)
class SafetyLimits(Parameters):
    """What no command may exceed, whoever gives it."""

    workspace_low: tuple[float, float, float] = parameter(
        (-0.5, -0.5, 0.0), -2.0, 2.0, "m", "lower corner of the box the wrist stays in, world"
    )
    workspace_high: tuple[float, float, float] = parameter(
        (0.5, 0.5, 0.9), -2.0, 3.0, "m", "upper corner of the box the wrist stays in, world"
    )
    wrist_speed: float = parameter(0.6, 0.01, 2.0, "m/s", "greatest speed of the wrist target")
    wrist_angular_speed: float = parameter(
        2.5, 0.05, 6.0, "rad/s", "greatest turning speed of the wrist target"
    )
    joint_speed: float = parameter(
        2.5, 0.05, 20.0, "rad/s", "greatest speed of a finger joint target"
    )
    state_age: float = parameter(
        0.2, 0.02, 2.0, "s", "a measured state older than this stops the motion"
    )
    command_age: float = parameter(
        0.5, 0.02, 5.0, "s", "whoever executes commands refuses answers to states older than this"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(lo < hi for lo, hi in zip(self.workspace_low, self.workspace_high, strict=True)):
            raise ValueError(
                f"SafetyLimits: workspace_low {self.workspace_low} must be below "
                f"workspace_high {self.workspace_high} on every axis"
            )


def is_pose(matrix: np.ndarray) -> bool:
    """Whether ``matrix`` is a finite (4, 4) rigid transform."""
    if np.shape(matrix) != (4, 4) or not np.all(np.isfinite(matrix)):
        return False
    rotation = matrix[:3, :3]
    error = np.abs(rotation.T @ rotation - np.eye(3)).max()
    return bool(
        error < _ROTATION_TOLERANCE
        and np.linalg.det(rotation) > 0.0
        and np.array_equal(matrix[3], [0.0, 0.0, 0.0, 1.0])
    )


def moved_towards(
    start: np.ndarray, target: np.ndarray, greatest_move: float, greatest_turn: float
) -> np.ndarray:
    """The (4, 4) pose on the way from one to another, at most so many m and rad from the first.

    That is the other one itself, where it is near enough.
    """
    way, angle = pose_distance(start, target)
    if way <= greatest_move and angle <= greatest_turn:
        return target
    pose = np.eye(4)
    move = target[:3, 3] - start[:3, 3]
    pose[:3, 3] = start[:3, 3] + move * _shrink(np.linalg.norm(move), greatest_move)
    attitude = Rotation.from_matrix(start[:3, :3])
    turn = (attitude.inv() * Rotation.from_matrix(target[:3, :3])).as_rotvec()
    turn *= _shrink(np.linalg.norm(turn), greatest_turn)
    pose[:3, :3] = (attitude * Rotation.from_rotvec(turn)).as_matrix()
    return pose


class CommandLimiter:
    """Brings every command within the limits.

    Targets are clamped into the workspace box and the joint limits, then moved towards by at most
    one tick's step from the previous command. Both sets are convex, so once inside, commands stay
    inside; from outside they return at bounded speed. A command that is not finite, of the wrong
    shape or no rotation is refused whole: the previous one is repeated.

    Args:
        limits: the bounds.
        joint_limits: (22, 2) lower and upper joint angles, rad.
        period: control period, s.
    """

    def __init__(self, limits: SafetyLimits, joint_limits: np.ndarray, period: float) -> None:
        if not period > 0.0:
            raise ValueError(f"control period {period} s: must be positive")
        self._joint_limits = np.array(joint_limits, dtype=float)
        self._low = np.array(limits.workspace_low)
        self._high = np.array(limits.workspace_high)
        self._wrist_step = limits.wrist_speed * period
        self._turn_step = limits.wrist_angular_speed * period
        self._joint_step = limits.joint_speed * period
        self._previous: Command | None = None
        self.refused: str | None = None
        """Why the latest command was refused; None when it was taken."""

    def reset(self, state: RobotState) -> None:
        """Start from where the robot is."""
        self._previous = Command(
            np.array(state.wrist_pose, dtype=float), np.array(state.joints, dtype=float)
        )

    @property
    def previous(self) -> Command:
        """The latest command given out.

        Raises:
            RuntimeError: before :meth:`reset`.
        """
        if self._previous is None:
            raise RuntimeError("CommandLimiter.reset must be called with a measured state first")
        return self._previous

    def limit(self, command: Command, periods: float = 1.0) -> Command:
        """The nearest command to ``command`` that the limits allow.

        Args:
            command: what is wanted.
            periods: control periods since the previous command; more than one after a gap.
        """
        previous = self.previous
        self.refused = self._fault(command)
        if self.refused is None:
            self._previous = Command(
                self._limited_pose(previous.wrist_target, command.wrist_target, periods),
                self._limited_joints(previous.finger_targets, command.finger_targets, periods),
            )
        return self.previous

    def _fault(self, command: Command) -> str | None:
        if not is_pose(command.wrist_target):
            return "the wrist target is no finite rigid transform"
        fingers = command.finger_targets
        expected = self.previous.finger_targets.shape
        if np.shape(fingers) != expected or not np.all(np.isfinite(fingers)):
            return f"the finger targets are not {expected[0]} finite numbers"
        return None

    def _limited_pose(self, previous: np.ndarray, target: np.ndarray, periods: float) -> np.ndarray:
        inside = np.array(target, dtype=float)
        inside[:3, 3] = np.clip(target[:3, 3], self._low, self._high)
        return moved_towards(
            previous, inside, periods * self._wrist_step, periods * self._turn_step
        )

    def _limited_joints(
        self, previous: np.ndarray, target: np.ndarray, periods: float
    ) -> np.ndarray:
        goal = np.clip(target, self._joint_limits[:, 0], self._joint_limits[:, 1])
        step = periods * self._joint_step
        return previous + np.clip(goal - previous, -step, step)


def _shrink(length: float | np.floating, limit: float) -> float:
    return 1.0 if length <= limit else limit / float(length)


class StaleGuard:
    """Tells whether a measured state may be acted on: fresh, in order and finite."""

    def __init__(self, limits: SafetyLimits) -> None:
        self._max_age = limits.state_age
        self._latest = -math.inf

    def fault(self, state: RobotState, now: float) -> str | None:
        """Why ``state`` must not be used at time ``now`` (s, same clock), or None.

        The same stamp may come again (no newer measurement yet) until it is too old.
        """
        if not math.isfinite(state.time):
            return "the state's time stamp is not finite"
        if not is_pose(state.wrist_pose):
            return "the measured wrist pose is no finite rigid transform"
        for name, values in (("angles", state.joints), ("velocities", state.joint_velocities)):
            if not np.all(np.isfinite(values)):
                return f"the measured joint {name} are not finite"
        if state.time < self._latest:
            return f"the state's time went back by {self._latest - state.time:.3f} s"
        self._latest = state.time
        age = now - state.time
        if age > self._max_age:
            return f"the newest state is {age:.3f} s old (limit {self._max_age:g} s)"
        return None


class GuardedController(WrappedController):
    """A controller behind its limits: bad input stops it, its commands are bounded.

    Args:
        controller: the controller; aborted with ``stale_input`` when a state is not fit for use.
        limits: the bounds.
        joint_limits: (22, 2) lower and upper joint angles, rad.
        period: control period, s.
        needs: what every observation must have; where one lacks it, the controller is aborted.
    """

    def __init__(
        self,
        controller: Controller,
        limits: SafetyLimits,
        joint_limits: np.ndarray,
        period: float,
        needs: Collection[Need] = (),
    ) -> None:
        super().__init__(controller)
        self._needs = needs
        self._guard = StaleGuard(limits)
        self._limiter = CommandLimiter(limits, joint_limits, period)
        self._period = period
        self._answered: float | None = None

    @property
    def inner(self) -> Controller:
        """What it guards, to be asked only."""
        return self._controller

    @property
    def follows_wrist(self) -> bool:
        """Whether a person's wrist is followed now: always, where the controller doesn't tell."""
        return Need.WRIST_STREAM in self._needs and getattr(self._controller, "follows_wrist", True)

    def step(self, observation: Observation, now: float) -> Command | None:
        """The bounded command for this tick.

        Args:
            observation: with the newest measured state.
            now: present time on the clock of the state's ``time``, s.

        Returns:
            None if no fit state has been seen yet: then there is nothing safe to command.
        """
        state = observation.state
        fault = self._guard.fault(state, now) or self._sensor_fault(observation)
        if fault is not None:
            self.abort(fault, OutcomeKind.STALE_INPUT)
            return self._limiter.previous if self._answered is not None else None
        if self._answered is None:
            self._limiter.reset(state)
            self._answered = state.time
        if self.outcome is not None:
            return self._limiter.previous
        # States may get lost on a busy machine: the bounds are speeds, not steps.
        periods = np.clip((state.time - self._answered) / self._period, 1.0, LONGEST_GAP)
        self._answered = state.time
        command = self._limiter.limit(self._controller.step(observation), float(periods))
        if self._limiter.refused is not None:
            self.abort(f"refused a command: {self._limiter.refused}")
        return command

    def _sensor_fault(self, observation: Observation) -> str | None:
        """Why what is measured beside angles and pose can't be acted on, or None."""
        efforts, tactile = observation.state.efforts, observation.tactile or {}
        if efforts is not None and not np.isfinite(efforts).all():
            return "the measured joint efforts are not finite"
        if not np.isfinite(list(tactile.values())).all():
            return "the measured contact forces are not finite"
        return lacking(observation, self._needs)
