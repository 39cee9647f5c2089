"""State canonicalisation (UniDexGrasp, 3.3.1): all is seen and done in a frame of the first hand.

Its origin is where the palm is at first, z is up, and its turn about z is that of the palm. So a
scene that is turned about z as a whole, or moved on the table, is the same one.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.tasks.batches import batch

FIRST_ROTATION = Rotation.from_euler("x", np.pi / 2).as_matrix()
"""(3, 3) of the first palm in the frame: palm down, fingers along -y (3.3.1)."""

_LEVEL = 1e-3


def first_hands(yaws: np.ndarray, height: float) -> np.ndarray:
    """Where hands begin: above the middle of the table, palm down, turned by phi.

    Args:
        yaws: (N,) phi, rad.
        height: m, h0.

    Returns:
        (N, 4, 4) of `rh_palm` in `world`.
    """
    yaws = batch("yaw", yaws, None)
    hands = np.tile(np.eye(4), (len(yaws), 1, 1))
    hands[:, :3, :3] = _about_z(yaws) @ FIRST_ROTATION
    hands[:, 2, 3] = height
    return hands


def reference_frames(hands: np.ndarray) -> np.ndarray:
    """The frames of N episodes.

    Args:
        hands: (N, 4, 4) of `rh_palm` in `world` at first; need not be level.

    Returns:
        (N, 4, 4) in `world`.

    Raises:
        ValueError: a shape does not fit, a number isn't finite, or the fingers point straight up or
            down.
    """
    hands = batch("first hand", hands, None, 4, 4)
    fingers = hands[:, :3, 2]
    level = np.hypot(fingers[:, 0], fingers[:, 1])
    if (level < _LEVEL).any():
        raise ValueError(
            f"the fingers of hand {int(np.argmin(level))} point straight up or down: the turn of "
            "the first hand about the vertical has to be known"
        )
    frames = np.tile(np.eye(4), (len(hands), 1, 1))
    frames[:, :3, :3] = _about_z(np.arctan2(fingers[:, 0], -fingers[:, 1]))
    frames[:, :3, 3] = hands[:, :3, 3]
    return frames


def inverses(poses: np.ndarray) -> np.ndarray:
    """(N, 4, 4) inverses of (N, 4, 4) poses."""
    inverse = np.tile(np.eye(4), (len(poses), 1, 1))
    inverse[:, :3, :3] = poses[:, :3, :3].swapaxes(1, 2)
    inverse[:, :3, 3] = -np.einsum("nji,nj->ni", poses[:, :3, :3], poses[:, :3, 3])
    return inverse


def turned_into(frames: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(N, ..., 3) vectors of `world` in frames (N, 4, 4)."""
    rows = vectors.reshape(len(frames), -1, 3)  # many times as fast as einsum
    return (rows @ frames[:, :3, :3]).reshape(vectors.shape)


def moved_into(frames: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N, ..., 3) points of `world` in frames (N, 4, 4)."""
    origins = frames[:, :3, 3].reshape(len(frames), *(1,) * (points.ndim - 2), 3)
    return turned_into(frames, points - origins)


def _about_z(angles: np.ndarray) -> np.ndarray:
    return Rotation.from_euler("z", angles[:, None]).as_matrix()
