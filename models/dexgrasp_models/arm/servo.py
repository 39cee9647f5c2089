"""Joint motion of the arm toward a pose target, one control tick at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dexgrasp_models.arm.kinematics import ArmKinematics


@dataclass(frozen=True)
class ServoStep:
    """What one tick of the servo decided."""

    joints: np.ndarray
    """(6,) joint targets for this tick in rad."""
    position_error: float
    """Distance in m between the target and the palm at `joints`."""
    rotation_error: float
    """Angle in rad between the target and the palm at `joints`."""
    limited: bool
    """Whether the joints' speed held the motion back."""


class PoseServo:
    """Turns a stream of palm poses into joint targets within the arm's speed and joint limits.

    Each tick takes a few damped least-squares steps from the present joint targets and follows them
    as far as the slowest joint can, so the direction of motion in joint space is kept. The
    simulator uses it, and a driver of the arm can.

    Args:
        kinematics: of the arm.
        period: control tick in s.
        speed_scale: share of the rated joint speeds that may be used, in (0, 1].

    Raises:
        ValueError: `period` or `speed_scale` is out of range.
    """

    def __init__(self, kinematics: ArmKinematics, period: float, speed_scale: float = 0.8) -> None:
        if not (np.isfinite(period) and period > 0):
            raise ValueError(f"period must be positive, got {period}")
        if not 0 < speed_scale <= 1:
            raise ValueError(f"speed_scale must be in (0, 1], got {speed_scale}")
        self.kinematics = kinematics
        self.max_step = kinematics.arm.max_speeds * speed_scale * period
        """(6,) greatest change of each joint in one tick, rad."""

    def step(self, joints: np.ndarray, world_T_palm: np.ndarray) -> ServoStep:
        """Joint targets for this tick.

        Args:
            joints: (6,) present joint targets (or measured angles) in rad.
            world_T_palm: (4, 4) wanted pose of `rh_palm` in `world`.

        Raises:
            ValueError: an argument is not finite or has a wrong shape; nothing must move then.
        """
        kinematics = self.kinematics
        change = kinematics.step(joints, world_T_palm) - joints
        excess = np.abs(change / self.max_step).max()
        reached = np.clip(joints + change / max(1.0, excess), kinematics.lower, kinematics.upper)
        return ServoStep(
            reached, *kinematics.error(reached, world_T_palm), limited=bool(excess > 1)
        )
