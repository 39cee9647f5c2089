"""How much the grasps of each object of a set differ from each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.data.statistics import from_above
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.metrics.diversity import keypoint_deviation, rotation_deviation
from dexgrasp_models.metrics.keypoints import keypoints

NARROW = np.deg2rad(30.0)
"""An object whose grasps all lie within this angle of each other is grasped in one way only."""

_BATCH = 4096


@dataclass(frozen=True)
class ObjectDiversity:
    """The grasps of one object at all scales and in all resting poses, in the object's frame.

    There is no sigma_T|R (UniDexGrasp, C.3.1), as there is one translation for each rotation.
    """

    grasps: int
    rotation_deviation: float
    """sigma_R, rad."""
    keypoint_deviation: float
    """sigma_keypoints, m; the object's scales add to it."""
    greatest_angle: float
    """Between the rotations of any two of the grasps, rad."""
    from_above: float
    """Share of the grasps on a table whose palm faces down, see `statistics.FROM_ABOVE`; the others
    come from the side. NaN without a table."""


def object_diversities(grasps: Grasps, kinematics: HandKinematics) -> dict[str, ObjectDiversity]:
    """Of each object that has grasps, by its name."""
    points = _keypoints(grasps, kinematics)
    rotations = grasps.palm_poses[:, :3, :3]
    above = np.where(grasps.has_table, from_above(grasps), np.nan)
    found = {}
    for index, name in enumerate(grasps.names):
        rows = np.flatnonzero(grasps.objects == index)
        if len(rows):
            on_table = above[rows][~np.isnan(above[rows])]
            found[name] = ObjectDiversity(
                len(rows),
                rotation_deviation(rotations[rows]),
                keypoint_deviation(points[rows]),
                greatest_angle(rotations[rows]),
                float(on_table.mean()) if len(on_table) else float("nan"),
            )
    return found


def most_diverse(grasps: Grasps, count: int, kinematics: HandKinematics) -> np.ndarray:
    """(count,) rows of grasps of one object that differ the most from each other; all if no more.

    Wrist and joints are compared together, by the keypoints of the hand in the object's frame: the
    most usual grasp comes first, then always the one that is the farthest from all before it.
    """
    points = _keypoints(grasps, kinematics).reshape(len(grasps), -1)
    if len(points) <= count:
        return np.arange(len(points))
    rows = [int(np.linalg.norm(points - points.mean(axis=0), axis=1).argmin())]
    nearest = np.full(len(points), np.inf)
    while len(rows) < count:
        nearest = np.minimum(nearest, np.linalg.norm(points - points[rows[-1]], axis=1))
        rows.append(int(nearest.argmax()))
    return np.array(rows)


def greatest_angle(rotations: np.ndarray) -> float:
    """The greatest angle (rad) between any two of (N, 3, 3) rotations; zero for one."""
    flat = rotations.reshape(-1, 9)
    # tr(A^T B), row by row so that memory stays linear in N.
    least = min(float((flat @ row).min()) for row in flat)
    return float(np.arccos(np.clip((least - 1.0) / 2.0, -1.0, 1.0)))


def _keypoints(grasps: Grasps, kinematics: HandKinematics) -> np.ndarray:
    """(N, 15, 3) in the frame of the scaled object, m."""
    poses, parts = grasps.palm_poses, []
    for start in range(0, len(grasps), _BATCH):
        batch = slice(start, start + _BATCH)
        palms, joints = (
            torch.as_tensor(values[batch], dtype=kinematics.dtype, device=kinematics.device)
            for values in (poses, np.ascontiguousarray(grasps.joints))
        )
        parts.append(keypoints(kinematics.spec, kinematics.link_poses(palms, joints)).cpu().numpy())
    return np.concatenate(parts)
