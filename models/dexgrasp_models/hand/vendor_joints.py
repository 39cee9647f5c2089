"""The hand's joints as its vendor's software has them: names, order, signs, limits, coupling.

The E-series hand turns four joints the other way round than the papers' model, whose signs are
ours (`FingerJoint.hardware_sign`). One motor drives the two outer joints of a finger, J0 = J1 + J2:
they are commanded together, and both are measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dexgrasp_models.hand.spec import HandSpec


class VendorStateError(ValueError):
    """What the vendor's software says of the joints can't be used; the message says why."""


@dataclass(frozen=True)
class VendorJoints:
    """Converts between our joints and the vendor's.

    Attributes:
        hand: ours.
    """

    hand: HandSpec

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The 24 joints in the vendor's order, which is the alphabet's."""
        return tuple(sorted((*self.hand.finger_joints, *self.wrist)))

    @property
    def wrist(self) -> tuple[str, ...]:
        """The two wrist joints, WRJ2 first; sign and zero are the vendor's."""
        return self.hand.mount.wrist_joints

    @cached_property
    def limits(self) -> np.ndarray:
        """(22, 2) lower and upper limits that our model and the hardware both allow, rad."""
        ours, hardware = self.hand.limits, self.hand.hardware_limits
        return np.stack(
            [np.maximum(ours[:, 0], hardware[:, 0]), np.minimum(ours[:, 1], hardware[:, 1])], axis=1
        )

    def fingers(self, names: Sequence[str], values: Sequence[float | None]) -> np.ndarray:
        """(22,) angles, velocities or torques of the fingers, in our order and signs.

        Args:
            names: of the vendor's message, in any order; joints that are not the hand's are passed
                over.
            values: one for each name, in the vendor's sign. JSON has None for NaN.

        Raises:
            VendorStateError: a joint is missing, named twice, or its value not finite.
        """
        return self.hand.hardware_sign * _picked(self.hand.finger_joints, names, values)

    def wrist_angles(self, names: Sequence[str], values: Sequence[float | None]) -> np.ndarray:
        """(2,) values of the wrist joints, as `fingers`."""
        return _picked(self.wrist, names, values)

    def driven(self, targets: np.ndarray) -> np.ndarray:
        """(22,) targets as the motors can have them: J1 = J2 in each coupled pair, their sum kept,
        and all within `limits`.

        Args:
            targets: (22,) in our order and signs, rad.
        """
        return np.clip(self.hand.couple(targets), *self.limits.T)

    def commanded(self, targets: np.ndarray) -> dict[str, float]:
        """Targets (22,), ours, as the vendor's angle of each finger joint, rad."""
        angles = (self.hand.hardware_sign * np.asarray(targets)).tolist()
        return dict(zip(self.hand.finger_joints, angles, strict=True))

    def motors(self, angles: Mapping[str, float]) -> dict[str, float]:
        """The vendor's angle of each motor, rad: of J0 the sum of J1 and J2.

        Args:
            angles: the vendor's, of joints; those of a coupled pair both or not at all.
        """
        motors = dict(angles)
        for tendon in self.hand.tendons:
            if tendon.distal in motors:
                motors[tendon.name] = motors.pop(tendon.distal) + motors.pop(tendon.middle)
        return motors


def _picked(
    wanted: Sequence[str], names: Sequence[str], values: Sequence[float | None]
) -> np.ndarray:
    if len(names) != len(values):
        raise VendorStateError(f"{len(names)} joint names but {len(values)} values")
    found = dict(zip(names, values, strict=True))
    if missing := [name for name in wanted if name not in found]:
        raise VendorStateError(f"missing joints: {', '.join(missing)}")
    if len(found) < len(names):
        twice = sorted({name for name in wanted if list(names).count(name) > 1})
        if twice:
            raise VendorStateError(f"joints named more than once: {', '.join(twice)}")
    picked = np.array([found[name] for name in wanted], dtype=float)
    if broken := [n for n, value in zip(wanted, picked, strict=True) if not np.isfinite(value)]:
        raise VendorStateError(f"values that are not finite: {', '.join(broken)}")
    return picked
