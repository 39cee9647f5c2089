"""The robot's own points in a cloud: distances to the hand, and to the arm that carries it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.perception.fusion import RobotDistance

Capsule = tuple[np.ndarray, float]
"""Ends (2, 3) of a segment in ``world``, and a radius, in metres."""


def robot_distance(
    hand: HandDistance,
    palm_pose: np.ndarray,
    joints: np.ndarray,
    arm_capsules: Sequence[Capsule] = (),
) -> RobotDistance:
    """Distance function of the robot in one configuration, for :func:`fuse`.

    Args:
        hand: the hand.
        palm_pose: (4, 4) pose of ``rh_palm`` in ``world``.
        joints: (22,) finger joints, rad.
        arm_capsules: the arm and the forearm as ``ArmKinematics.capsules`` places them.
    """
    kinematics = hand.kinematics
    with torch.no_grad():
        link_poses = kinematics.link_poses(
            torch.as_tensor(palm_pose, dtype=kinematics.dtype)[None],
            torch.as_tensor(joints, dtype=kinematics.dtype)[None],
        )

    def distance(points: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            batch = torch.as_tensor(points, dtype=kinematics.dtype)[None]
            nearest = hand.to_links(batch, link_poses)[0].numpy()
        for ends, radius in arm_capsules:
            nearest = np.minimum(nearest, _segment_distance(points, ends) - radius)
        return nearest

    return distance


def _segment_distance(points: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Distances (N,) of points (N, 3) to the segment between ``ends`` (2, 3)."""
    start, along = ends[0], ends[1] - ends[0]
    share = np.clip((points - start) @ along / max(along @ along, 1e-12), 0.0, 1.0)
    return np.linalg.norm(points - start - share[:, None] * along, axis=1)
