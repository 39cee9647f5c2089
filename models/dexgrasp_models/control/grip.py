"""The grip on the object, told without force sensors by what the fingers do under the squeeze.

Fingers that an object stops stay short of their targets. The sum of these errors, less what it was
before the squeeze (fingers that lean on each other, or on the table), is the grip. It falls when
the object is gone, unless the fingers press on each other. Neighbouring fingers do that without an
object, too; but the thumb, which an object is held against, has no part in it.
"""

from __future__ import annotations

import numpy as np


class Grip:
    """Follows the grip through a grasp.

    Args:
        to_actuators: (A, 22) from finger joints to actuators: the errors are the actuators'.
        of_thumb: (A,) which actuators are the thumb's.

    Attributes:
        full: the grip at the end of the squeeze, rad.
    """

    def __init__(self, to_actuators: np.ndarray, of_thumb: np.ndarray) -> None:
        self._to_actuators = to_actuators
        self._of_thumb = of_thumb
        self._idle = np.zeros(len(to_actuators))
        self._squeezed = np.zeros(to_actuators.shape[1])
        self.full = 0.0

    def begin(self, targets: np.ndarray, joints: np.ndarray) -> None:
        """The fingers are at the grasp, and the squeeze begins."""
        self._idle = self._errors(targets, joints)

    def complete(self, targets: np.ndarray, joints: np.ndarray) -> None:
        """The squeeze has ended: what it is now, it has to stay."""
        self.full = self.now(targets, joints)
        self._squeezed = joints.copy()

    def now(self, targets: np.ndarray, joints: np.ndarray) -> float:
        """The present grip, rad, for (22,) targets and measured joints."""
        return float(self._errors(targets, joints).sum()) - float(self._idle.sum())

    def of_thumb(self, targets: np.ndarray, joints: np.ndarray) -> float:
        """The thumb's part of the grip, rad."""
        gained = self._errors(targets, joints) - self._idle
        return float(gained[self._of_thumb].sum())

    def closed_since(self, joints: np.ndarray) -> float:
        """Sum over actuators of how far they have moved since the end of the squeeze, rad."""
        return float(np.abs(self._to_actuators @ (joints - self._squeezed)).sum())

    def _errors(self, targets: np.ndarray, joints: np.ndarray) -> np.ndarray:
        """(A,) how far each actuator is from its target, rad."""
        return np.abs(self._to_actuators @ (targets - joints))
