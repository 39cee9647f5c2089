"""Poses as (4, 4) matrices and as positions with quaternions, as messages carry them."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation


def to_quaternion(pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position (3,) and unit quaternion (x, y, z, w) of a (4, 4) pose."""
    return pose[:3, 3], Rotation.from_matrix(pose[:3, :3]).as_quat()


def from_quaternion(position: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    """(4, 4) pose of a position (3,) and a quaternion (x, y, z, w), which is normalised."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
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
