"""Poses as (4, 4) matrices and as positions with quaternions, as messages carry them.

The conversions are those of ROS 2's tf_transformations, step by step, over the same transforms3d:
what a node puts into a message or takes out of it has the same bits as what is done here.
"""

from __future__ import annotations

import numpy as np
from transforms3d import affines, quaternions


def to_quaternion(pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position (3,) and unit quaternion (x, y, z, w), w not negative, of a (4, 4) pose.

    Raises:
        numpy.linalg.LinAlgError: its rotation is singular or not finite.
    """
    w, x, y, z = quaternions.mat2quat(affines.decompose(pose)[1])
    return pose[:3, 3], np.array([x, y, z, w])


def from_quaternion(position: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    """(4, 4) pose of a position (3,) and a quaternion (x, y, z, w), which is normalised."""
    x, y, z, w = quaternion
    pose = np.eye(4)
    pose[:3, :3] = quaternions.quat2mat((w, x, y, z))
    pose[:3, 3] = position
    return pose


def through_quaternion(pose: np.ndarray) -> np.ndarray:
    """(4, 4) pose as it arrives after a message: equal up to the last bits, and to the bit so.

    A run without messages that passes its poses through here repeats one with messages exactly.
    """
    return from_quaternion(*to_quaternion(pose))


def nearest_proper(poses: np.ndarray) -> np.ndarray:
    """(N, 4, 4) poses with the nearest proper rotations: steps in float32 let them drift."""
    left, _, right = np.linalg.svd(poses[:, :3, :3])
    poses = poses.copy()
    poses[:, :3, :3] = left @ right
    return poses
