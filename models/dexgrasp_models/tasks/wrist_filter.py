"""Wrists without most of the noise that they are measured with.

An alpha-beta filter: the steady state of Kalman's, for a wrist whose velocity changes as by the
accelerations of a person's hand (Kalata, 1984). How noisy the measurements are it finds out by
itself, from how much of each change of velocity is taken back in the next step. A wrist that is
measured without noise, however fast it is moved, passes as it is, to the bit.

Not in GraspGF (Wu et al., NeurIPS 2023), whose Table 6 puts noise on the wrist that is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.tasks.batches import batch


@dataclass(frozen=True)
class WristFilterConfig(Parameters):
    """How a person moves, and how long it is looked at."""

    acceleration: float = parameter(0.25, 1e-3, 100.0, "m/s^2", "deviation along each axis")
    turning: float = parameter(1.0, 1e-3, 1000.0, "rad/s^2", "likewise of the turn about each")
    memory: float = parameter(1.2, 0.05, 60.0, "s", "over which the noise is found")


class WristFilter:
    """Of N wrists; `reset` each before its first use.

    Args:
        count: N.
        rate: Hz, measurements a second.
        config: what is expected.
    """

    def __init__(self, count: int, rate: float, config: WristFilterConfig | None = None) -> None:
        config = config or WristFilterConfig()
        self._count = count
        self._poses = np.full((count, 4, 4), np.nan)
        steps = max(config.memory * rate, 1.0)
        self._place = _Coordinates(count, config.acceleration / rate**2, steps)
        self._turn = _Coordinates(count, config.turning / rate**2, steps)
        self._measured = self._poses.copy()

    def reset(self, indices: Sequence[int] | np.ndarray, poses: np.ndarray) -> None:
        """Begin anew with those of `indices`, at rest.

        Args:
            indices: n wrists.
            poses: (n, 4, 4) measured.

        Raises:
            ValueError: the shape does not fit, or a number isn't finite.
        """
        first = batch("first wrist", poses, len(indices), 4, 4)
        self._poses[indices] = self._measured[indices] = first
        self._place.reset(indices)
        self._turn.reset(indices)

    def filtered(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4) where the wrists are now.

        Args:
            poses: (N, 4, 4) measured, one step after the last.

        Raises:
            ValueError: the shape does not fit, a number isn't finite, or a wrist was never reset.
        """
        poses = batch("wrist", poses, self._count, 4, 4)
        known = np.isfinite(self._poses).all(axis=(1, 2))
        if not known.all():
            raise ValueError(f"the filter of wrist {np.argmin(known)} was never reset: do so first")
        rotations, before = poses[:, :3, :3], self._measured
        self._place.measure(poses[:, :3, 3] - before[:, :3, 3])
        self._turn.measure(_rotvec(before[:, :3, :3], rotations))
        self._measured = poses.copy()

        places = self._poses[:, :3, 3] + self._place.velocity
        turned = self._poses[:, :3, :3] @ Rotation.from_rotvec(self._turn.velocity).as_matrix()
        missing = _rotvec(turned, rotations)
        gains = self._place.correct(poses[:, :3, 3] - places)[:, None]
        found = poses.copy()
        found[:, :3, 3] = gains * poses[:, :3, 3] + (1.0 - gains) * places
        gains = self._turn.correct(missing)[:, None]
        partly = turned @ Rotation.from_rotvec(gains * missing).as_matrix()
        found[:, :3, :3] = np.where(gains[:, :, None] < 1.0, partly, rotations)
        self._poses = found
        return found.copy()


class _Coordinates:
    """Three alike of each of N wrists: constant velocity, and measurements of unknown noise.

    Attributes:
        velocity: (N, 3) a step.
    """

    def __init__(self, count: int, acceleration: float, memory: float) -> None:
        self.velocity = np.zeros((count, 3))
        self._acceleration, self._memory = acceleration, memory
        self._steps = np.zeros(count)
        self._moved = np.zeros((count, 3))
        self._changed = np.zeros((count, 3))
        self._noise = np.zeros(count)

    def reset(self, indices: Sequence[int] | np.ndarray) -> None:
        self.velocity[indices] = self._moved[indices] = self._changed[indices] = 0.0
        self._steps[indices] = self._noise[indices] = 0.0

    def measure(self, moved: np.ndarray) -> None:
        """Learn how noisy measurements are, of (N, 3) from each to the next.

        White noise of variance r on positions makes -4 r of the product of one change of velocity
        and the next; a motion that is smooth makes it positive, or leaves it small.
        """
        self._steps += 1.0
        changed = moved - self._moved
        known = self._steps > 2.0  # the first change is from rest, which nobody measured
        share = 1.0 / np.clip(self._steps - 2.0, 1.0, self._memory)
        told = -(changed * self._changed).mean(axis=1) / 4.0
        self._noise += np.where(known, share * (told - self._noise), 0.0)
        self._moved, self._changed = moved.copy(), changed

    def correct(self, missing: np.ndarray) -> np.ndarray:
        """(N,) gains of positions, of (N, 3) that the prediction is off; corrects velocities."""
        deviation = np.sqrt(np.maximum(self._noise, 0.0))
        noisy = deviation > 0.0
        index = self._acceleration / np.where(noisy, deviation, 1.0)
        root = (4.0 + index - np.sqrt(8.0 * index + np.square(index))) / 4.0
        seen = self._steps + 1.0
        straight = 2.0 * (2.0 * seen - 1.0) / (seen * (seen + 1.0))  # of a line through all so far
        gains = np.where(noisy, np.maximum(1.0 - np.square(root), straight), 1.0)
        of_velocity = np.minimum(2.0 * (2.0 - gains) - 4.0 * np.sqrt(1.0 - gains), 1.0)
        self.velocity = self.velocity + of_velocity[:, None] * missing
        return gains


def _rotvec(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(N, 3) rad, turns from one orientation to the other, in the axes of the first."""
    return Rotation.from_matrix(start.swapaxes(1, 2) @ end).as_rotvec()
