"""The robot's own points in a cloud: distances to the hand, and to the arm that carries it.

In NumPy, as the perception node needs no more of the hand: PyTorch alone takes longer to load than
all the rest of it. `hand.distance` has the same distances batched and differentiable.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.perception.fusion import RobotDistance
from dexgrasp_models.robot.links import Primitive, link_poses

Capsule = tuple[np.ndarray, float]
"""Ends (2, 3) of a segment in ``world``, and a radius, in metres."""

_BLOCK = 4096
"""Points at once: what is computed of them stays in a processor's cache."""


def robot_distance(
    hand: HandSpec,
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
    poses = link_poses(hand.links, dict(zip(hand.finger_joints, joints, strict=True)))
    shapes = [
        (palm_pose @ pose @ primitive.pose.matrix, primitive)
        for pose, link in zip(poses, hand.links, strict=True)
        for primitive in link.primitives
    ]

    def nearest(points: np.ndarray) -> np.ndarray:
        to_hand = [_distance(points, frame, primitive) for frame, primitive in shapes]
        to_arm = [_segment_distance(points, ends) - radius for ends, radius in arm_capsules]
        return np.min(to_hand + to_arm, axis=0)

    def distance(points: np.ndarray) -> np.ndarray:
        starts = range(0, len(points), _BLOCK)
        blocks = [nearest(points[start : start + _BLOCK]) for start in starts]
        return np.concatenate(blocks) if blocks else np.zeros(0)

    return distance


def either_distance(distances: Sequence[RobotDistance]) -> RobotDistance:
    """Distances to the nearest of several places of the robot, as where images are of several
    times."""
    if len(distances) == 1:
        return distances[0]
    return lambda points: np.min([distance(points) for distance in distances], axis=0)


def _distance(points: np.ndarray, frame: np.ndarray, primitive: Primitive) -> np.ndarray:
    """Signed distances (N,) of points (N, 3) to a shape whose centre's pose is `frame`."""
    if primitive.kind == "capsule":
        radius, half_length = primitive.size
        reach = half_length * frame[:3, 2]
        return _segment_distance(points, frame[:3, 3] + np.stack([-reach, reach])) - radius
    excess = np.abs((points - frame[:3, 3]) @ frame[:3, :3]) - primitive.size
    outside = np.linalg.norm(np.maximum(excess, 0.0), axis=1)
    return outside + np.minimum(excess.max(axis=1), 0.0)


def _segment_distance(points: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Distances (N,) of points (N, 3) to the segment between ``ends`` (2, 3)."""
    start, along = ends[0], ends[1] - ends[0]
    share = np.clip((points - start) @ along / max(along @ along, 1e-12), 0.0, 1.0)
    return np.linalg.norm(points - start - share[:, None] * along, axis=1)
