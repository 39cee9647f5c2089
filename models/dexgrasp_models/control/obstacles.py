"""Which points of a scene are in the way of a hand that comes to an object."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

_NEIGHBOURHOOD = 0.45
"""Metres around the grasp within which scene points can matter to the approach."""
_TABLE_THICKNESS = 0.008
"""Metres above the table up to which points of the scene are taken for the table's."""
_OBJECT_SURROUNDING = 0.01
"""Metres from the object's points within which points of the scene are taken for the object's."""


def obstacles_near(
    scene: np.ndarray, target: np.ndarray, centre: np.ndarray, table_height: float
) -> np.ndarray:
    """(K, 3) scene points near a grasp that belong neither to the table nor to the object, m.

    Args:
        scene: (M, 3) in `world`, m.
        target: (N, 3) points of the object in `world`, m.
        centre: (3,) of the palm at the grasp, m.
        table_height: z of the table, m.
    """
    scene = np.asarray(scene, dtype=float).reshape(-1, 3)
    near = np.linalg.norm(scene - centre, axis=1) < _NEIGHBOURHOOD
    scene = scene[near & (scene[:, 2] > table_height + _TABLE_THICKNESS)]
    if not len(scene):
        return scene
    distance, _ = cKDTree(target).query(scene, distance_upper_bound=_OBJECT_SURROUNDING)
    return scene[np.isinf(distance)]
