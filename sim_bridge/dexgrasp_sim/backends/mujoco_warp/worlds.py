"""One model for scenes with different objects, and what differs from world to world.

mujoco-warp steps copies of one model. The objects' convex pieces are meshes of that model; its
object has as many mesh geoms as the object with the most pieces, and each world says which mesh
each of them is, or that it is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mujoco
import numpy as np

from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.backends.mujoco.mujoco_model import OBJECT

_OF_GEOMS = ("geom_friction", "geom_pos", "geom_quat", "geom_size", "geom_aabb", "geom_rbound")
_OF_THE_REST = (
    "body_mass",
    "body_subtreemass",
    "body_inertia",
    "body_invweight0",
    "body_ipos",
    "body_iquat",
    "dof_invweight0",
    "actuator_gainprm",
    "actuator_biasprm",
)
FIELDS = ("geom_dataid", *_OF_GEOMS, *_OF_THE_REST)
"""Of the model, that each world has for itself."""

_NO_MESH = -1


class Worlds:
    """The common model of some objects' scenes.

    Args:
        spec_of: an object's scene.
        object_models: the objects, each once.

    Attributes:
        largest: the object with the most pieces.
        pieces: how many it has.
        model: of its scene, with the meshes of all.
    """

    def __init__(
        self,
        spec_of: Callable[[ObjectModel], mujoco.MjSpec],
        object_models: Sequence[ObjectModel],
    ) -> None:
        self.largest = max(object_models, key=lambda each: len(each.pieces))
        spec = spec_of(self.largest)
        for index, item in enumerate(object_models):
            for number, piece in enumerate(item.pieces):
                # Without faces MuJoCo makes the hull, which it does not for meshes of no geom.
                spec.add_mesh(
                    name=_mesh_name(index, number),
                    uservert=np.asarray(piece.vertices).ravel(),
                    inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
                )
        self.model = model = spec.compile()
        self.pieces = len(self.largest.pieces)
        self._first = int(np.flatnonzero(model.geom_bodyid == model.body(OBJECT).id)[0])
        self._meshes = {
            id(item): [model.mesh(_mesh_name(index, n)).id for n in range(len(item.pieces))]
            for index, item in enumerate(object_models)
        }
        # Identities are kept only as long as the objects are.
        self._objects = tuple(object_models)

    def absent(self, meshes: np.ndarray) -> np.ndarray:
        """(N, G) bool: which geoms have no mesh, though they are of the object.

        Args:
            meshes: (N, G) `geom_dataid` of the worlds.
        """
        absent = meshes == _NO_MESH
        absent[:, : self._first] = absent[:, self._first + self.pieces :] = False
        return absent

    def fields(self, object_model: ObjectModel, own: mujoco.MjModel) -> dict[str, np.ndarray]:
        """The `FIELDS` of a world that is to be as one of the objects' own scene."""
        merged = self.model
        meshes = np.array(self._meshes[id(object_model)])
        slots = self._first + np.arange(self.pieces)
        used = slots[: len(meshes)]
        rest = np.r_[: self._first, slots[-1] + 1 : merged.ngeom]
        found = {name: getattr(own, name) for name in _OF_THE_REST}
        for name in _OF_GEOMS:
            values = getattr(merged, name).copy()
            values[np.sort(np.r_[used, rest])] = getattr(own, name)
            found[name] = values
        # A mesh is kept centred and turned; how, is the merged model's.
        found["geom_pos"][used] = merged.mesh_pos[meshes]
        found["geom_quat"][used] = merged.mesh_quat[meshes]
        for slot, mesh in zip(used, meshes, strict=True):
            start = merged.mesh_vertadr[mesh]
            vertices = merged.mesh_vert[start : start + merged.mesh_vertnum[mesh]]
            low, high = vertices.min(axis=0), vertices.max(axis=0)
            found["geom_size"][slot] = reach = np.maximum(np.abs(low), np.abs(high))
            found["geom_aabb"][slot] = np.r_[(low + high) / 2, (high - low) / 2]
            found["geom_rbound"][slot] = np.linalg.norm(reach)
        found["geom_dataid"] = merged.geom_dataid.copy()
        found["geom_dataid"][slots] = _NO_MESH
        found["geom_dataid"][used] = meshes
        return found


def _mesh_name(index: int, piece: int) -> str:
    return f"object_{index}_{piece}"
