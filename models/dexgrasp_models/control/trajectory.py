"""Time-parametrised motions of the wrist and of the fingers, at rest at both ends.

The profile is the minimum-jerk quintic ``s(u) = 10 u^3 - 15 u^4 + 6 u^5`` (Flash and Hogan, 1985):
its greatest speed is 15/8 of the mean and its greatest acceleration 10/sqrt(3) of distance/time^2,
from which the duration for given bounds follows in closed form.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.types import Command
from dexgrasp_models.geometry.minimum_jerk import share_covered

_PEAK_SPEED = 15.0 / 8.0
_PEAK_ACCELERATION = 10.0 / math.sqrt(3.0)


def minimum_jerk(phase: float) -> float:
    """Fraction of the way covered at ``phase`` of the time; clamped outside [0, 1]."""
    return share_covered(min(max(phase, 0.0), 1.0))


def shortest_duration(distance: float, max_speed: float, max_acceleration: float) -> float:
    """Seconds a minimum-jerk motion over ``distance`` takes within both bounds."""
    return max(
        _PEAK_SPEED * distance / max_speed,
        math.sqrt(_PEAK_ACCELERATION * distance / max_acceleration),
    )


def pose_distance(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Distance (m) and angle (rad) between two (4, 4) poses."""
    # Several times in a control tick: SciPy's rotations take ten times as long.
    r = (first[:3, :3].T @ second[:3, :3]).tolist()
    twice_sine = math.hypot(r[2][1] - r[1][2], r[0][2] - r[2][0], r[1][0] - r[0][1])
    angle = math.atan2(twice_sine, r[0][0] + r[1][1] + r[2][2] - 1.0)
    return math.dist(first[:3, 3].tolist(), second[:3, 3].tolist()), angle


def interpolate_pose(start: np.ndarray, end: np.ndarray, fraction: float) -> np.ndarray:
    """(4, 4) pose between ``start`` and ``end``: straight line and constant-axis rotation."""
    turn = Rotation.from_matrix(start[:3, :3].T @ end[:3, :3]).as_rotvec()
    pose = np.eye(4)
    pose[:3, :3] = start[:3, :3] @ Rotation.from_rotvec(fraction * turn).as_matrix()
    pose[:3, 3] = start[:3, 3] + fraction * (end[:3, 3] - start[:3, 3])
    return pose


@dataclass(frozen=True)
class MotionBounds:
    """Greatest speeds and accelerations of a motion (m/s, m/s^2, rad/s, rad/s^2)."""

    linear_speed: float
    linear_acceleration: float
    angular_speed: float
    angular_acceleration: float


class WristPath(Protocol):
    """A motion of the wrist from rest to rest."""

    @property
    def duration(self) -> float:
        """Seconds from its start to its end."""

    def pose(self, time: float) -> np.ndarray:
        """(4, 4) pose ``time`` seconds after the start; the ends are held outside."""


@dataclass(frozen=True, eq=False)
class PosePath:
    """Rest-to-rest motion through wrist poses, each leg as fast as the bounds allow.

    Attributes:
        waypoints: at least one (4, 4) pose in ``world``.
        bounds: limits that hold at every moment of the motion.
    """

    waypoints: Sequence[np.ndarray]
    bounds: MotionBounds

    @cached_property
    def _leg_ends(self) -> np.ndarray:
        durations = [0.0]
        for start, end in zip(self.waypoints[:-1], self.waypoints[1:], strict=True):
            distance, angle = pose_distance(start, end)
            b = self.bounds
            durations.append(
                max(
                    shortest_duration(distance, b.linear_speed, b.linear_acceleration),
                    shortest_duration(angle, b.angular_speed, b.angular_acceleration),
                )
            )
        return np.cumsum(durations)

    @property
    def duration(self) -> float:
        """Seconds from the first waypoint to the last."""
        return float(self._leg_ends[-1])

    def pose(self, time: float) -> np.ndarray:
        """(4, 4) pose ``time`` seconds after the start; the ends are held outside."""
        if time >= self.duration:
            return np.array(self.waypoints[-1], dtype=float)
        leg = int(np.searchsorted(self._leg_ends, max(time, 0.0), side="right")) - 1
        start_time, end_time = self._leg_ends[leg], self._leg_ends[leg + 1]
        fraction = minimum_jerk((time - start_time) / (end_time - start_time))
        return interpolate_pose(self.waypoints[leg], self.waypoints[leg + 1], fraction)


@dataclass(frozen=True, eq=False)
class PassingPath:
    """Rest-to-rest motion through wrist poses that lie close together, without a stop at them.

    The accelerations' bounds hold along the path, not across it.

    Attributes:
        waypoints: at least one (4, 4) pose in ``world``.
        bounds: limits.
    """

    waypoints: Sequence[np.ndarray]
    bounds: MotionBounds

    @cached_property
    def _reached(self) -> np.ndarray:
        """Seconds to each waypoint at the greatest speeds."""
        seconds = [0.0]
        for start, end in zip(self.waypoints[:-1], self.waypoints[1:], strict=True):
            distance, angle = pose_distance(start, end)
            seconds.append(
                max(distance / self.bounds.linear_speed, angle / self.bounds.angular_speed)
            )
        return np.cumsum(seconds)

    @cached_property
    def duration(self) -> float:
        """Seconds from the first waypoint to the last."""
        b = self.bounds
        acceleration = min(
            b.linear_acceleration / b.linear_speed, b.angular_acceleration / b.angular_speed
        )
        return shortest_duration(float(self._reached[-1]), 1.0, acceleration)

    def pose(self, time: float) -> np.ndarray:
        """(4, 4) pose ``time`` seconds after the start; the ends are held outside."""
        if time >= self.duration:
            return np.array(self.waypoints[-1], dtype=float)
        reached = self._reached
        covered = minimum_jerk(time / self.duration) * reached[-1]
        leg = min(int(np.searchsorted(reached, covered, side="right")), len(reached) - 1) - 1
        fraction = (covered - reached[leg]) / (reached[leg + 1] - reached[leg])
        return interpolate_pose(self.waypoints[leg], self.waypoints[leg + 1], fraction)


@dataclass(frozen=True, eq=False)
class JoinedPath:
    """One motion of the wrist after the other."""

    parts: Sequence[WristPath]

    @property
    def duration(self) -> float:
        """Seconds until all are over."""
        return sum(part.duration for part in self.parts)

    def pose(self, time: float) -> np.ndarray:
        """(4, 4) pose ``time`` seconds after the start; the ends are held outside."""
        for part in self.parts[:-1]:
            if time < part.duration:
                return part.pose(time)
            time -= part.duration
        return self.parts[-1].pose(time)


@dataclass(frozen=True, eq=False)
class JointMotion:
    """Rest-to-rest motion of the finger joints; all joints start and arrive together.

    Attributes:
        start, end: (22,) joint angles, rad.
        max_speed: rad/s, of the fastest joint.
        min_duration: seconds the motion takes at least.
    """

    start: np.ndarray
    end: np.ndarray
    max_speed: float
    min_duration: float = 0.0

    @cached_property
    def duration(self) -> float:
        """Seconds from start to end."""
        travel = float(np.abs(self.end - self.start).max())
        return max(_PEAK_SPEED * travel / self.max_speed, self.min_duration)

    def joints(self, time: float) -> np.ndarray:
        """(22,) joint angles ``time`` seconds after the start."""
        fraction = minimum_jerk(time / self.duration) if self.duration > 0.0 else 1.0
        return self.start + fraction * (self.end - self.start)


@dataclass(frozen=True, eq=False)
class WristAndFingerMotion:
    """What wrist and fingers do together."""

    wrist: WristPath
    fingers: JointMotion
    wrist_delay: float = 0.0
    """Seconds for which the wrist waits for the fingers."""
    least_duration: float = 0.0
    """Seconds the motion lasts at least."""

    @property
    def duration(self) -> float:
        """Seconds until both have arrived."""
        moving = max(self.wrist_delay + self.wrist.duration, self.fingers.duration)
        return max(moving, self.least_duration)

    def targets(self, time: float) -> Command:
        """The targets ``time`` seconds after the start."""
        return Command(self.wrist.pose(time - self.wrist_delay), self.fingers.joints(time))
