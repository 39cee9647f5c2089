"""The One Euro filter of poses (Casiez, Roussel and Vogel, CHI 2012, algorithm 1).

A low-pass filter of first order whose cutoff rises with the speed of what is filtered: at rest it
takes away jitter, and in motion it lags little. Position and rotation are filtered as vectors with
one speed each, so that no axis is smoothed otherwise than another.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.transform import Rotation

SPEED_CUTOFF = 1.0
"""Hz, at which the speed itself is filtered, as in the paper."""


def smoothing_factor(cutoff: float, seconds: float) -> float:
    """The part of a difference that a low-pass filter of first order takes over in a step.

    Args:
        cutoff: Hz.
        seconds: from the step before to this one.
    """
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff * seconds))


class OneEuroPoseFilter:
    """Filters the poses of one body; for another body a new one, or `reset`.

    Args:
        min_cutoff: Hz, at rest; positive.
        position_beta: Hz by which the cutoff of the position rises for each m/s.
        rotation_beta: Hz by which that of the rotation rises for each rad/s.
    """

    def __init__(self, min_cutoff: float, position_beta: float, rotation_beta: float) -> None:
        self._position = _AdaptiveStep(min_cutoff, position_beta)
        self._rotation = _AdaptiveStep(min_cutoff, rotation_beta)
        self._pose: np.ndarray | None = None

    def reset(self) -> None:
        """The next pose is the first of its body."""
        self._position.reset()
        self._rotation.reset()
        self._pose = None

    def filter(self, pose: np.ndarray, seconds: float) -> np.ndarray:
        """The filtered pose, (4, 4) as the one given; the first one as it is.

        Args:
            pose: (4, 4), m, as it was measured.
            seconds: from the pose before to this one, positive; of no account for the first.
        """
        if self._pose is None:
            self._pose = pose.copy()
            return pose.copy()
        before = self._pose
        turn = Rotation.from_matrix(before[:3, :3].T @ pose[:3, :3]).as_rotvec()
        turned = Rotation.from_rotvec(self._rotation.step(turn, seconds))
        moved = self._position.step(pose[:3, 3] - before[:3, 3], seconds)
        filtered = np.eye(4)
        # By way of a quaternion, so that the product of many steps stays a rotation.
        filtered[:3, :3] = (Rotation.from_matrix(before[:3, :3]) * turned).as_matrix()
        filtered[:3, 3] = before[:3, 3] + moved
        self._pose = filtered
        return filtered.copy()


class _AdaptiveStep:
    """Which part of a difference is taken over, by the speed that it stands for."""

    def __init__(self, min_cutoff: float, beta: float) -> None:
        self._min_cutoff, self._beta = min_cutoff, beta
        self.reset()

    def reset(self) -> None:
        self._speed = np.zeros(3)

    def step(self, difference: np.ndarray, seconds: float) -> np.ndarray:
        """From the last filtered value, of the (3,) difference to the measured one."""
        faster = difference / seconds - self._speed
        self._speed = self._speed + smoothing_factor(SPEED_CUTOFF, seconds) * faster
        cutoff = self._min_cutoff + self._beta * float(np.linalg.norm(self._speed))
        return smoothing_factor(cutoff, seconds) * difference
