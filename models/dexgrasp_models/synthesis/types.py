"""A grasp proposal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Grasp:
    """One grasp of an object on the table, as every proposer returns it."""

    palm_pose: np.ndarray
    """(4, 4) pose of `rh_palm` in `world` at the grasp."""
    joints: np.ndarray
    """(22,) finger joint angles in rad at first contact."""
    pregrasp_joints: np.ndarray
    """(22,) opened finger joint angles, for the approach."""
    squeeze_joints: np.ndarray
    """(22,) position targets that press on the object; may lie inside it or beyond the limits."""
    score: float
    """Ranking score: larger is better; comparable within one proposer only."""
    figures: dict[str, float]
    """What the score was made of, by name (e.g. penetration in m)."""
    proposer: str
    """Name of the proposer."""
