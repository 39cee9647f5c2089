"""How an object lies on the table: what has a group of its own in reports of lifts."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import trimesh

THIN_HEIGHT = 0.025
"""Metres; a hand has hardly room to close its fingers about what is lower."""


class Lying(StrEnum):
    """Groups that objects as they are placed belong to, each to one."""

    THIN = "thin"
    """Lower than `THIN_HEIGHT`."""
    FLAT = "flat"
    """Not thin, and less than half as high as its footprint is wide."""
    HIGH = "high"
    """All others: standing or compact."""


def resting_height(vertices: np.ndarray, pose: np.ndarray) -> float:
    """Height of an object as it is placed, m.

    Args:
        vertices: (V, 3) of its surface, m.
        pose: (4, 4) of its frame, z up.
    """
    return float(np.ptp(vertices @ pose[2, :3]))


def lying(vertices: np.ndarray, pose: np.ndarray) -> Lying:
    """The group of an object as it is placed; arguments as of `resting_height`."""
    height = resting_height(vertices, pose)
    if height < THIN_HEIGHT:
        return Lying.THIN
    _, sides = trimesh.bounds.oriented_bounds_2D(vertices @ pose[:2, :3].T)
    return Lying.FLAT if height < 0.5 * min(sides) else Lying.HIGH
