"""What the controller sees each tick, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RobotState:
    """Measured state of hand and wrist at one control tick."""

    time: float
    """Seconds on the clock of the run."""
    wrist_pose: np.ndarray
    """(4, 4) pose of `rh_palm` in `world`."""
    joints: np.ndarray
    """(22,) finger joint angles in rad, in the order of `HandSpec.finger_joints`."""
    joint_velocities: np.ndarray
    """(22,) finger joint velocities in rad/s."""


@dataclass(frozen=True)
class Command:
    """Targets for one control tick."""

    wrist_target: np.ndarray
    """(4, 4) wanted pose of `rh_palm` in `world`."""
    finger_targets: np.ndarray
    """(22,) position targets of the finger joints in rad."""
