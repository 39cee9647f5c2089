"""Joints that follow a goal which may change at any time, within speed and acceleration limits."""

from __future__ import annotations

import numpy as np

_BRAKING_SHARE = 0.9
"""Of the acceleration limit, which braking before a goal is planned with: the rest is for the
discrete steps."""
_ARRIVED = 1e-6
"""rad, below which a joint is put at its goal, so that what stands still sends one set-point."""


class JointFollower:
    """The next set-points of joints on their way to a goal.

    A joint at distance e is to go at k e, but no faster than its speed limit, nor than it can brake
    for: near the goal that is the first-order approach of gain k, farther away the braking curve
    v = sqrt(2 a e - (a / k)^2), joined smoothly at e = a / k^2. Speeds and changes of speed are
    scaled by the same factor for all joints, which so go straight to the goal in joint space. A
    goal that stands still is never overshot by a joint that starts at rest; one that jumps back
    behind a moving joint is, by no more than its stopping distance, and joint limits never.

    Args:
        lower, upper: (J,) joint limits, rad.
        max_speeds: (J,) rad/s.
        max_accelerations: (J,) rad/s^2.
        gain: k, 1/s.
        period: s from one set-point to the next.

    Raises:
        ValueError: a limit, the gain or the period is not positive, or the gain is too high for the
            period.
    """

    def __init__(
        self,
        lower: np.ndarray,
        upper: np.ndarray,
        max_speeds: np.ndarray,
        max_accelerations: np.ndarray,
        gain: float,
        period: float,
    ) -> None:
        if not (np.min(max_speeds) > 0 and np.min(max_accelerations) > 0 and period > 0):
            raise ValueError("speed and acceleration limits and the period must be positive")
        if not 0 < gain * period <= 0.1:
            raise ValueError(
                f"a gain of {gain:g} 1/s is too high for set-points {period:g} s apart"
            )
        self._lower, self._upper = np.array(lower, float), np.array(upper, float)
        self._max_speeds = np.array(max_speeds, float)
        self._max_accelerations = np.array(max_accelerations, float)
        self._braking = _BRAKING_SHARE * self._max_accelerations
        self._gain = gain
        self._period = period

    def step(
        self, joints: np.ndarray, speeds: np.ndarray, goal: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Joints (J,) in rad and speeds (J,) in rad/s one period later.

        Args:
            joints, speeds: (J,) present ones, as this method gave them or at rest.
            goal: (J,) where to go, rad; beyond the joint limits it is taken for the limit.
        """
        way = np.clip(goal, self._lower, self._upper) - joints
        allowed = self._allowed(np.abs(way))
        reach = self._max_accelerations * self._period
        change = self._wanted(way, allowed) - speeds
        following = speeds + change / max(1.0, float((np.abs(change) / reach).max()))
        # A joint that has to brake, or goes the wrong way, does not wait for the others.
        following = np.clip(
            following, np.where(way < 0, -allowed, 0), np.where(way > 0, allowed, 0)
        )
        following = np.clip(following, speeds - reach, speeds + reach)
        arrived = (np.abs(way) < _ARRIVED) & (np.abs(following) < reach)
        following[arrived] = 0.0
        return np.where(arrived, joints + way, joints + following * self._period), following

    def brake(self, joints: np.ndarray, speeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `step`, to a standstill as soon as the accelerations allow."""
        reach = self._max_accelerations * self._period
        slower = speeds - np.clip(speeds, -reach, reach)
        return joints + slower * self._period, slower

    def stop_point(self, joints: np.ndarray, speeds: np.ndarray) -> np.ndarray:
        """(J,) where the joints come to a standstill if they brake from now on, rad."""
        return joints + speeds * np.abs(speeds) / (2.0 * self._max_accelerations)

    def _allowed(self, distance: np.ndarray) -> np.ndarray:
        """(J,) speeds from which the joints can stop within distances (J,)."""
        near = self._braking / self._gain**2
        far = np.sqrt(np.maximum(2.0 * self._braking * (distance - near / 2.0), 0.0))
        return np.minimum(np.where(distance < near, self._gain * distance, far), self._max_speeds)

    def _wanted(self, way: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        """(J,) speeds at which all joints arrive together; the slowest sets the time."""
        distance = np.abs(way)
        rates = allowed / np.maximum(distance, 1e-12)
        return way * rates[distance > _ARRIVED].min(initial=self._gain)
