"""What grasps are synthesised around: an object that rests on the table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dexgrasp_models.data.closing import outer_surface
from dexgrasp_models.data.grasps import table_plane
from dexgrasp_models.objects import ObjectModel
from dexgrasp_models.synthesis.energy_config import EnergyConfig
from dexgrasp_models.synthesis.object_surface import ObjectSurface


@dataclass(frozen=True, eq=False)
class TableScene:
    """One object in one resting pose."""

    model: ObjectModel
    world_T_object: np.ndarray
    """(4, 4) pose on the table, the plane z = 0 of `world`."""

    @property
    def plane(self) -> np.ndarray:
        """(4,) the table in the object's frame, see `Grasps.planes`."""
        return table_plane(self.world_T_object)

    def surface(
        self, samples: int, config: EnergyConfig, generator: np.random.Generator
    ) -> ObjectSurface:
        """What can be touched of the object, in `world`.

        The outer surface of its convex pieces, as that is what grasps are validated against.

        Raises:
            CloudError: it is too flat or too small to be grasped.
        """
        points, normals = outer_surface(self.model)
        chosen = generator.choice(len(points), samples, replace=len(points) < samples)
        rotation, position = self.world_T_object[:3, :3], self.world_T_object[:3, 3]
        return ObjectSurface.from_surface(
            points[chosen] @ rotation.T + position,
            normals[chosen] @ rotation.T,
            rotation @ self.model.center_of_mass + position,
            config,
        )
