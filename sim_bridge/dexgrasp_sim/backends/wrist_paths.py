"""Where wrists are to be between the ends of two control ticks, whatever moves them there.

A target is to be reached when its tick ends; from where the next one sets out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.arm.servo import PoseServo


@dataclass(frozen=True, eq=False)
class PalmMoves:
    """The moves of n free palms in one tick: even ones, each with a single turn."""

    starts: np.ndarray
    """(n, 4, 4) of `rh_palm` in `world`."""
    move: np.ndarray
    """(n, 3) m in `world`."""
    turn: np.ndarray
    """(n, 3) rotation vector in the axes of the start, rad."""

    def positions(self, fractions: np.ndarray) -> np.ndarray:
        """(n, S, 3) m at (S,) fractions of the tick."""
        return self.starts[:, None, :3, 3] + fractions[:, None] * self.move[:, None]

    def quaternions(self, fractions: np.ndarray) -> np.ndarray:
        """(n, S, 4) attitudes there, (x, y, z, w)."""
        attitudes = Rotation.from_matrix(self.starts[:, :3, :3]).as_quat()
        starts = Rotation.from_quat(np.repeat(attitudes, len(fractions), axis=0))
        turns = Rotation.from_rotvec((fractions[:, None] * self.turn[:, None]).reshape(-1, 3))
        return (starts * turns).as_quat().reshape(-1, len(fractions), 4)


class PalmPaths:
    """The ways of N free palms.

    Args:
        home: (4, 4) where they begin.
        count: how many there are.
    """

    def __init__(self, home: np.ndarray, count: int) -> None:
        self._reached = np.tile(home, (count, 1, 1))

    def hold(self, index: int, pose: np.ndarray) -> None:
        """Set out from where a palm was put, at a (4, 4) pose."""
        self._reached[index] = pose

    def tick(self, indices: Sequence[int], targets: np.ndarray) -> PalmMoves:
        """The moves to (n, 4, 4) targets in the next tick."""
        starts = self._reached[indices]
        self._reached[indices] = targets
        move = targets[:, :3, 3] - starts[:, :3, 3]
        attitudes = Rotation.from_matrix(starts[:, :3, :3])
        turn = (attitudes.inv() * Rotation.from_matrix(targets[:, :3, :3])).as_rotvec()
        return PalmMoves(starts, move, turn)

    def memory(self, indices: np.ndarray) -> np.ndarray:
        """(n, 4, 4) what is remembered from tick to tick."""
        return self._reached[indices]

    def recall(self, indices: np.ndarray, memory: np.ndarray) -> None:
        """Back to an earlier `memory`."""
        self._reached[indices] = memory


class ArmPaths:
    """The ways of the joints of N arms, which come from the arm's own pose servo.

    Args:
        servo: of all arms.
        count: how many there are.
    """

    def __init__(self, servo: PoseServo, count: int) -> None:
        self._servo = servo
        self._targets = np.tile(servo.kinematics.home, (count, 1))

    def hold(self, index: int, joints: np.ndarray) -> None:
        """Set out from where an arm was put, (6,) rad."""
        self._targets[index] = joints

    def tick(self, indices: Sequence[int], targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, 6) joints at the start of the next tick and their moves in it, rad, for (n, 4, 4)
        targets of the wrists."""
        starts = self._targets[indices]
        for index, start, target in zip(indices, starts, targets, strict=True):
            self._targets[index] = self._servo.step(start, target).joints
        return starts, self._targets[indices] - starts

    def follow(self, indices: Sequence[int], joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `tick`, for (n, 6) targets of the joints."""
        starts = self._targets[indices]
        self._targets[indices] = joints
        return starts, joints - starts

    def memory(self, indices: np.ndarray) -> np.ndarray:
        """(n, 6) what is remembered from tick to tick."""
        return self._targets[indices]

    def recall(self, indices: np.ndarray, memory: np.ndarray) -> None:
        """Back to an earlier `memory`."""
        self._targets[indices] = memory
