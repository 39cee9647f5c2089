"""The grip on the object, told without force sensors by what the fingers do under the squeeze.

Fingers that an object stops stay short of their targets. The sum of these errors, less what it was
before the squeeze (fingers that lean on each other, or on the table), is the grip. It falls when the
object is gone, unless the fingers then meet each other; but then they have closed further than the
object let them.
"""

from __future__ import annotations

import numpy as np

from dexgrasp_models.parameters import Parameters, parameter


class Grip:
    """Follows the grip through a grasp.

    Args:
        to_actuators: (A, 22) from finger joints to actuators: the errors are the actuators'.

    Attributes:
        full: the grip at the end of the squeeze, rad.
    """

    def __init__(self, to_actuators: np.ndarray) -> None:
        self._to_actuators = to_actuators
        self._idle_load = 0.0
        self._squeezed = np.zeros(to_actuators.shape[1])
        self.full = 0.0

    def begin(self, targets: np.ndarray, joints: np.ndarray) -> None:
        """The fingers are at the grasp, and the squeeze begins."""
        self._idle_load = self._load(targets, joints)

    def complete(self, targets: np.ndarray, joints: np.ndarray) -> None:
        """The squeeze has ended: what it is now, it has to stay."""
        self.full = self.now(targets, joints)
        self._squeezed = joints.copy()

    def now(self, targets: np.ndarray, joints: np.ndarray) -> float:
        """The present grip, rad, for (22,) targets and measured joints."""
        return self._load(targets, joints) - self._idle_load

    def closed_since(self, joints: np.ndarray) -> float:
        """Sum over actuators of how far they have moved since the end of the squeeze, rad."""
        return float(np.abs(self._to_actuators @ (joints - self._squeezed)).sum())

    def _load(self, targets: np.ndarray, joints: np.ndarray) -> float:
        """Sum over actuators of how far they are from their targets, rad."""
        return float(np.abs(self._to_actuators @ (targets - joints)).sum())
