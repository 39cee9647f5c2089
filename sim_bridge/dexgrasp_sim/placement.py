"""Where an object is put on the table: drawn here alone, so that every simulator puts it there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_sim.scene import SceneConfig


@dataclass(frozen=True, eq=False)
class StablePose:
    """A way of resting on the table; any yaw and place are the same."""

    rotation: np.ndarray
    """(3, 3) attitude of the object's mesh frame in `world`, at some yaw."""
    height: float
    """z of the mesh frame's origin, m."""
    frequency: float
    """Part of the random drops that end like this."""
    top: float
    """Height of the object's highest point over the table, m."""

    def scaled(self, factor: float) -> StablePose:
        """The pose of the same object made larger."""
        return replace(self, height=factor * self.height, top=factor * self.top)

    def placed(self, x: float, y: float, yaw: float) -> np.ndarray:
        """(4, 4) pose with the centre of the mesh frame over (x, y), turned by `yaw` about z."""
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("z", yaw).as_matrix() @ self.rotation
        pose[:3, 3] = (x, y, self.height)
        return pose


def draw_placement(config: SceneConfig, resting: Sequence[StablePose], seed: int) -> np.ndarray:
    """(4, 4) pose in `world` of the object's mesh frame, where a reset with `seed` puts it.

    Args:
        config: `placement_radius` about `object_position`, evenly over the disc, any yaw.
        resting: the poses in which the object rests, drawn by their frequencies.
        seed: of all of it.
    """
    generator = np.random.default_rng(seed)
    chosen = resting[generator.choice(len(resting), p=[pose.frequency for pose in resting])]
    radius = config.placement_radius * np.sqrt(generator.random())
    angle, yaw = generator.uniform(-np.pi, np.pi, size=2)
    x, y = np.add(config.object_position, radius * np.array([np.cos(angle), np.sin(angle)]))
    return chosen.placed(x, y, yaw)
