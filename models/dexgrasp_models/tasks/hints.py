"""The posture that PPO (Goal) is told (GraspGF, 4.3): of a grasp of the object, but not the goal.

The goal's own would tell what no policy of the task may know, where the wrist goes.
"""

from __future__ import annotations

import numpy as np

from dexgrasp_models.data.grasps import Grasps


def drawn_hints(grasps: Grasps, goals: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Joints of another grasp of each goal's object, of the same size.

    Args:
        grasps: M, to draw from.
        goals: (N,) which of them are the goals.
        rng: draws.

    Returns:
        (N, 22) rad. Where the object has no other grasp, the mean of all M, which tells nothing.
    """
    kinds = np.stack((grasps.objects, grasps.scales), axis=1)
    joints = grasps.joints.astype(float)
    hints = np.tile(joints.mean(axis=0), (len(goals), 1))
    for row, goal in enumerate(goals):
        others = np.flatnonzero((kinds == kinds[goal]).all(axis=1))
        # One that lies there twice is the goal as well.
        others = others[(joints[others] != joints[goal]).any(axis=1)]
        if len(others):
            hints[row] = joints[rng.choice(others)]
    return hints
