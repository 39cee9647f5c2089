"""Hands as the device sees them, for tests."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_leap.frames import LeapFrame, SeenHand

PERIOD_US = 10_000
"""From frame to frame, at 100 Hz."""


def hand(number=1, position=(0.0, 0.0, 0.2), left=False, turn=(0.0, 0.0, 0.0)) -> SeenHand:
    """A hand at a position, m, with a rotation vector."""
    wrist = np.eye(4)
    wrist[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    wrist[:3, 3] = position
    return SeenHand(number, left, 0.9, wrist)


def frame(number, *hands) -> LeapFrame:
    """The frame of a number."""
    return LeapFrame(number * PERIOD_US, hands)
