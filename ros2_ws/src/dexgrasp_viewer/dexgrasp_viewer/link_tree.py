"""Poses of a robot's links from its joint angles: light-weight, for drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.links import Link


def link_poses(links: Sequence[Link], angles: Mapping[str, float]) -> np.ndarray:
    """(L, 4, 4) poses of the links, parents before children, in the frame of the root (the first).

    Args:
        links: as a hand's or an arm's description lists them.
        angles: rad by joint name; a joint that is not named stands at zero.
    """
    poses = {links[0].name: np.eye(4)}
    for link in links[1:]:
        poses[link.name] = poses[link.parent] @ link.pose.matrix
        if link.joint is not None:
            turn = np.asarray(link.joint.axis) * angles.get(link.joint.name, 0.0)
            poses[link.name][:3, :3] @= Rotation.from_rotvec(turn).as_matrix()
    return np.array([poses[link.name] for link in links])
