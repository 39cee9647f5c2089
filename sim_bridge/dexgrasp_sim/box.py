"""The open box into which held objects are released: four walls on the table.

Where it stands, and how large it is, is the control's to know (`carry.*` in `config/control.yaml`).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from dexgrasp_models.control.config import load_control_config
from dexgrasp_models.objects import ObjectModel

AT_REST = 0.02
"""Metres a second below which a released object has come to rest."""
_THICKNESS = 0.01  # m, outside of the opening


@cache
def box_walls() -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Middle in `world` and half extents, (3,) m each, of the walls; the table is the floor."""
    carry = load_control_config().carry
    x, y, height = carry.box_position
    half_x, half_y = 0.5 * np.array(carry.box_size)
    half = _THICKNESS / 2
    walls = []
    for side in (-1.0, 1.0):
        for middle, extents in (
            ((x + side * (half_x + half), y), (half, half_y + _THICKNESS)),
            ((x, y + side * (half_y + half)), (half_x, half)),
        ):
            walls.append((np.array([*middle, height / 2]), np.array([*extents, height / 2])))
    return tuple(walls)


def is_in_box(model: ObjectModel, pose: np.ndarray) -> bool:
    """Whether an object at a (4, 4) pose in `world` is in the box: not beside it, nor upon its rim.

    Its centre of mass has to be above the box's floor, and its lowest point below the rim.
    """
    carry = load_control_config().carry
    x, y, height = carry.box_position
    middle = pose[:3, :3] @ model.center_of_mass + pose[:3, 3]
    lowest = (model.visual.vertices @ pose[2, :3]).min() + pose[2, 3]
    apart = np.abs(middle[:2] - (x, y))
    return bool((apart <= 0.5 * np.array(carry.box_size)).all() and lowest < height)
