"""Hands as the device tells them, in metres, in the axes of ROS, with a frame of the wrist.

The Leap's axes are x to the right, y up and z towards the person who sits before it, its unit is
the millimetre. Ours, the frame `leap`, are x ahead of the person, y left, z up; the origin is the
same, the middle of the device.

The wrist's frame is that of `rh_palm`: z to the fingers, -y out of the palm, x = y x z. So x points
to the thumb of a right hand, and away from the thumb of a left one: a left hand with its palm and
fingers turned as those of a right one has the same rotation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TO_ROS = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""(3, 3) rotation from the Leap's axes to ours."""
MILLIMETRE = 1e-3
LEAST_SINE = 0.2
"""Of the angle between the palm's normal and the direction of the fingers; right would be 1."""
LEAST_LENGTH = 0.5
"""Of either of these, which the device gives as unit vectors."""


class FrameError(ValueError):
    """What the device or its service tells is no frame, or no hand."""


@dataclass(frozen=True)
class SeenHand:
    """A hand in one frame of the device.

    Attributes:
        id: by the device; a hand that was out of sight gets another one.
        left: whether it is a left hand.
        confidence: 0 to 1, as far as the device tells.
        wrist: (4, 4) pose in the frame `leap`, m.
    """

    id: int
    left: bool
    confidence: float
    wrist: np.ndarray


@dataclass(frozen=True)
class LeapFrame:
    """What the device saw at a moment.

    Attributes:
        taken_us: by the device's clock, microseconds.
        hands: in the device's order.
        problems: why hands were left out.
    """

    taken_us: int
    hands: tuple[SeenHand, ...]
    problems: tuple[str, ...] = ()


def position_in_ros(millimetres: Sequence[float]) -> np.ndarray:
    """(3,) position in the frame `leap`, m, of one in the Leap's axes."""
    return MILLIMETRE * (TO_ROS @ np.asarray(millimetres, dtype=float))


def wrist_rotation(normal: Sequence[float], direction: Sequence[float]) -> np.ndarray:
    """(3, 3) rotation of the wrist in the frame `leap`.

    The direction is kept; of the normal what stands at right angles on it.

    Args:
        normal: (3,) out of the palm, in the Leap's axes.
        direction: (3,) from the palm to the fingers, in the Leap's axes.

    Raises:
        FrameError: one of them has no length, or both are nearly parallel.
    """
    out, fingers = (TO_ROS @ np.asarray(each, dtype=float) for each in (normal, direction))
    lengths = np.linalg.norm(out), np.linalg.norm(fingers)
    if not all(LEAST_LENGTH < length < 1.0 / LEAST_LENGTH for length in lengths):
        raise FrameError("the palm's normal or direction is no unit vector")
    z = fingers / lengths[1]
    y = (out @ z) * z - out
    if np.linalg.norm(y) < LEAST_SINE * lengths[0]:
        raise FrameError("the palm's normal and direction are nearly parallel")
    y /= np.linalg.norm(y)
    return np.column_stack((np.cross(y, z), y, z))


def seen_hand(
    number: int,
    left: bool,
    confidence: float,
    wrist: Sequence[float],
    normal: Sequence[float],
    direction: Sequence[float],
) -> SeenHand:
    """A hand of what the device tells in its own axes and units.

    Args:
        number: its id.
        left: whether it is a left hand.
        confidence: 0 to 1.
        wrist: (3,) position, mm.
        normal: (3,) out of the palm.
        direction: (3,) from the palm to the fingers.

    Raises:
        FrameError: something of it is not finite, or makes no frame.
    """
    if not np.isfinite([confidence, *wrist, *normal, *direction]).all():
        raise FrameError("the pose of a hand is not finite")
    pose = np.eye(4)
    pose[:3, :3] = wrist_rotation(normal, direction)
    pose[:3, 3] = position_in_ros(wrist)
    return SeenHand(number, left, float(np.clip(confidence, 0.0, 1.0)), pose)
