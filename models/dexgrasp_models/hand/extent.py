"""How far a hand reaches downwards, by the shapes of its links."""

from __future__ import annotations

import numpy as np

from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.robot.links import Primitive, link_poses

HAND_REACH = 0.25
"""Metres from the palm's frame within which the whole hand is, however it is turned."""


def reach_below(hand: HandSpec, joints: np.ndarray, attitude: np.ndarray) -> float:
    """Metres from the palm's frame down to the hand's lowest point.

    Args:
        hand: whose links these are.
        joints: (22,) rad.
        attitude: (3, 3) of the palm in a frame whose z is up.
    """
    poses = link_poses(hand.links, dict(zip(hand.finger_joints, joints, strict=True)))
    return max(
        -_lowest(attitude @ pose[:3], primitive)
        for pose, link in zip(poses, hand.links, strict=True)
        for primitive in link.primitives
    )


def _lowest(placed: np.ndarray, primitive: Primitive) -> float:
    """Least z of a shape whose link is placed at (3, 4) position and attitude."""
    up, height = placed[2, :3], placed[2, 3]
    axes = up @ primitive.pose.rotation
    centre = float(up @ np.asarray(primitive.pose.position) + height)
    if primitive.kind == "box":
        return centre - float(np.abs(axes) @ np.asarray(primitive.size))
    radius, half_length = primitive.size
    return centre - radius - half_length * abs(float(axes[2]))
