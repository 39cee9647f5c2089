"""The bounds of whoever executes commands, be it a simulator or a driver.

A controller bounds its own commands (`limits.GuardedController`); an executor does not rely on
that, as anybody may publish a command. What it bounds is a little wider, so that a bounded command
passes unchanged, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dexgrasp_models.control.limits import LONGEST_GAP, SafetyLimits, moved_towards
from dexgrasp_models.control.trajectory import pose_distance
from dexgrasp_models.control.types import Command

_JOINT_TOLERANCE = 0.05  # rad: as far as a measured joint, where a motion begins, may overshoot
_BOX_TOLERANCE = 0.02  # m
_SPEED_MARGIN = 1.05
"""How much faster than the controller's greatest speed an executor goes."""
_STILL = 1e-9


@dataclass(frozen=True)
class Fault:
    """Why a command is refused.

    Attributes:
        kind: what is wrong with it, the same words for the same mistake.
        detail: the numbers.
    """

    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} ({self.detail})" if self.detail else self.kind


class ExecutionLimiter:
    """Refuses targets that are out of bounds, and goes to the others no faster than allowed.

    A target may be outside the joint limits or the workspace box no farther than the last command
    is, so that the robot can come back. Steps are counted from the last command, and what one
    period leaves unused may be used in the next, as a controller makes up for one lost state. A
    commander's first command may as well start from where the robot is measured.

    Args:
        limits: of the controller.
        joint_names: the 22 finger joints.
        joint_limits: (22, 2) lower and upper joint angles, rad.
        period: control period, s.
    """

    def __init__(
        self,
        limits: SafetyLimits,
        joint_names: Sequence[str],
        joint_limits: np.ndarray,
        period: float,
    ) -> None:
        self._names = tuple(joint_names)
        self._joint_limits = np.array(joint_limits, dtype=float)
        self._box = np.array([limits.workspace_low, limits.workspace_high])
        speeds = [limits.joint_speed, limits.wrist_speed, limits.wrist_angular_speed]
        self._steps = np.array(speeds) * period

    def reset(self, command: Command) -> None:
        """Start from what is commanded now; the robot is measured there."""
        self._previous = self._measured = command
        self._credit = np.full(len(self._steps), LONGEST_GAP)
        self._fingers_begin = self._wrist_begins = True
        self.slowed = False
        """Whether the latest step was shorter than what was wanted."""

    @property
    def previous(self) -> Command:
        """The latest command given out by `step`."""
        return self._previous

    @property
    def holding(self) -> Command:
        """What stops the robot: the measured wrist, and the last finger targets, which grip."""
        return Command(self._measured.wrist_target, self._previous.finger_targets)

    def measure(self, wrist_pose: np.ndarray, joints: np.ndarray) -> None:
        """Note where the robot is: (4, 4) pose of the palm in the world, (22,) joints in rad.

        What is not finite is no measurement.
        """
        if np.isfinite(wrist_pose).all() and np.isfinite(joints).all():
            self._measured = Command(wrist_pose, joints)

    def begin_fingers(self) -> None:
        """The next finger targets are the first of a commander."""
        self._fingers_begin = True

    def begin_wrist(self) -> None:
        """The next wrist target is the first of a commander."""
        self._wrist_begins = True

    def finger_fault(self, targets: np.ndarray) -> Fault | None:
        """Why (22,) finite joint targets, rad, are refused, or None."""
        allowed = np.max([self._beyond_limits(start) for start in self._finger_starts()], axis=0)
        wrong = np.flatnonzero(self._beyond_limits(targets) > np.maximum(allowed, _JOINT_TOLERANCE))
        if not len(wrong):
            return None
        names = ", ".join(self._names[index] for index in wrong)
        low, high = self._joint_limits[wrong[0]]
        return Fault(
            f"targets beyond the limits of {names}",
            f"{targets[wrong[0]]:.4g} rad for {self._names[wrong[0]]}, {low:.3g} to {high:.3g}",
        )

    def wrist_fault(self, target: np.ndarray) -> Fault | None:
        """Why a finite (4, 4) pose of the palm in the world is refused, or None."""
        allowed = max(self._outside_box(start) for start in self._wrist_starts())
        if self._outside_box(target) <= max(allowed, _BOX_TOLERANCE):
            return None
        (x, y, z), (low, high) = target[:3, 3], self._box
        return Fault(
            "the wrist target is outside the workspace",
            f"({x:.4g}, {y:.4g}, {z:.4g}) m, the box is {low.tolist()} to {high.tolist()}",
        )

    def step(self, wanted: Command) -> Command:
        """The command of this period on the way to ``wanted``, unchanged where it is near enough.

        Args:
            wanted: targets without a fault.
        """
        self._credit = np.minimum(self._credit + 1.0, LONGEST_GAP)
        fingers = self._finger_step(wanted.finger_targets)
        wrist = self._wrist_step(wanted.wrist_target)
        self.slowed = fingers is not wanted.finger_targets or wrist is not wanted.wrist_target
        self._previous = Command(wrist, fingers)
        return self._previous

    def _finger_starts(self) -> list[np.ndarray]:
        starts = [self._previous.finger_targets]
        return [*starts, self._measured.finger_targets] if self._fingers_begin else starts

    def _wrist_starts(self) -> list[np.ndarray]:
        starts = [self._previous.wrist_target]
        return [*starts, self._measured.wrist_target] if self._wrist_begins else starts

    def _finger_step(self, wanted: np.ndarray) -> np.ndarray:
        if wanted is self._previous.finger_targets:
            return wanted
        starts = self._finger_starts()
        self._fingers_begin = False
        low, high = np.min(starts, axis=0), np.max(starts, axis=0)
        used = max(0.0, float(np.maximum(low - wanted, wanted - high).max()))
        step = self._spend(0, used)
        return wanted if used <= step else np.clip(wanted, low - step, high + step)

    def _wrist_step(self, wanted: np.ndarray) -> np.ndarray:
        if wanted is self._previous.wrist_target:
            return wanted
        starts = self._wrist_starts()
        self._wrist_begins = False
        ways = [pose_distance(start, wanted) for start in starts]
        nearest = int(np.argmin([max(way / self._steps[1:]) for way in map(np.array, ways)]))
        move, turn = ways[nearest]
        steps = self._spend(1, move), self._spend(2, turn)
        if move <= steps[0] and turn <= steps[1]:
            return wanted
        return moved_towards(starts[nearest], wanted, *steps)

    def _spend(self, quantity: int, used: float) -> float:
        """How far a quantity may go in this period, of which ``used`` is wanted."""
        step = self._steps[quantity]
        allowed = _SPEED_MARGIN * step * self._credit[quantity] + _STILL
        self._credit[quantity] -= min(used / (_SPEED_MARGIN * step), self._credit[quantity])
        return float(allowed)

    def _beyond_limits(self, joints: np.ndarray) -> np.ndarray:
        low, high = self._joint_limits.T
        return np.maximum(np.maximum(low - joints, joints - high), 0.0)

    def _outside_box(self, pose: np.ndarray) -> float:
        low, high = self._box
        return float(np.maximum(np.maximum(low - pose[:3, 3], pose[:3, 3] - high), 0.0).max())
