"""For how long something has been at rest."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from dexgrasp_models.control.trajectory import pose_distance


class Rest:
    """Remembers what was seen for as long as it is like what is seen now.

    Args:
        moved: whether the second of two is not like the first any more.
    """

    def __init__(self, moved: Callable[[np.ndarray, np.ndarray], bool]) -> None:
        self._moved = moved
        self._past: deque[tuple[float, np.ndarray]] = deque()

    def forget(self) -> None:
        """What was before does not count."""
        self._past.clear()

    def push(self, time: float, seen: np.ndarray) -> float:
        """Takes what is seen at a time, s; since how many seconds nothing has moved."""
        while self._past and self._moved(self._past[0][1], seen):
            self._past.popleft()
        self._past.append((time, seen))
        return time - self._past[0][0]


def wrist_rest(distance: float, angle: float) -> Rest:
    """Of (4, 4) poses, which may move by a distance, m, and turn by an angle, rad."""

    def moved(one: np.ndarray, other: np.ndarray) -> bool:
        way, turn = pose_distance(one, other)
        return way > distance or turn > angle

    return Rest(moved)


def joint_rest(change: float) -> Rest:
    """Of joint angles, none of which may change by more, rad."""
    return Rest(lambda one, other: bool(np.abs(other - one).max() > change))
