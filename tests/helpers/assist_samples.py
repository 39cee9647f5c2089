"""Scenes of the human-assisting task, drawn by a seed."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.hand.spec import load_hand

HAND = load_hand()


def poses(count: int, rng: np.random.Generator) -> np.ndarray:
    """(N, 4, 4) anywhere within a metre."""
    drawn = np.tile(np.eye(4), (count, 1, 1))
    drawn[:, :3, :3] = Rotation.random(count, random_state=rng).as_matrix()
    drawn[:, :3, 3] = rng.uniform(-1.0, 1.0, (count, 3))
    return drawn


def joints(count: int, rng: np.random.Generator) -> np.ndarray:
    """(N, 22) within their limits; those of a tendon differ."""
    return rng.uniform(*HAND.limits.T, (count, len(HAND.joints)))


def clouds(count: int, points: int, rng: np.random.Generator) -> np.ndarray:
    """(N, P, 3) in a box of 20 cm."""
    return rng.uniform(-0.1, 0.1, (count, points, 3))
