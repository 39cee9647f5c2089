"""The surfaces of a scene that cameras see, and where they are: from the descriptions alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import trimesh

from dexgrasp_models.arm.mounting import load_mounting
from dexgrasp_models.arm.spec import load_arm
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import ObjectModel
from dexgrasp_models.perception.ray_casting import Body
from dexgrasp_models.robot.links import Link, Primitive, link_poses
from dexgrasp_sim.box import box_walls
from dexgrasp_sim.interface import Snapshot
from dexgrasp_sim.scene import SceneConfig

_OBJECT = (0.90, 0.45, 0.12)
_TABLE = (0.80, 0.72, 0.60)
_BOX = (0.36, 0.55, 0.42)
_ARM = (0.62, 0.70, 0.80)
_HAND = (0.30, 0.33, 0.38)

_TABLE_THICKNESS = 0.03  # m, drawn
_CAPSULE_RESOLUTION = (24, 16)


class SceneSurfaces:
    """Object, table, each shape of the robot's links as a body of its own, and the box where there
    is one, in this order.

    Attributes:
        bodies: the surfaces with their colours, for a `RayCaster`.
    """

    def __init__(self, config: SceneConfig, object_model: ObjectModel) -> None:
        self._hand = load_hand()
        self._arm = load_arm() if config.scene == "arm" else None
        carriers = (*self._arm.links, *self._hand.mount.links) if self._arm else ()
        links = (*carriers, *self._hand.links)
        colors = [_ARM] * len(carriers) + [_HAND] * len(self._hand.links)
        self.bodies = [
            Body(object_model.visual, _OBJECT),
            Body(table_surface(config.table_size), _TABLE),
            *(
                Body(_surface(primitive), color)
                for link, color in zip(links, colors, strict=True)
                for primitive in link.primitives
            ),
            *([Body(box_surface(), _BOX)] if config.box else []),
        ]
        self._in_place = len(self.bodies) - 2 - sum(len(link.primitives) for link in links)
        self._link_of_shape, self._link_T_shape = _shapes(links)
        if self._arm:
            mounting, mount = load_mounting(), self._hand.mount
            self._world_T_base = mounting.world_T_base
            tool_T_mount = np.array([mount.link_poses[link.name] for link in mount.links])
            self._last_T_mount = self._arm.tool_pose.matrix @ mounting.tool_T_forearm @ tool_T_mount

    def poses(self, snapshot: Snapshot) -> np.ndarray:
        """(B, 4, 4) poses of the bodies in `world`; a joint that is not named stands at zero."""
        links = snapshot.wrist_pose @ link_poses(self._hand.links, snapshot.joints)
        if self._arm:
            arm = self._world_T_base @ link_poses(self._arm.links, snapshot.joints)
            links = np.concatenate([arm, arm[-1] @ self._last_T_mount, links])
        shapes = links[self._link_of_shape] @ self._link_T_shape
        box = np.tile(np.eye(4), (self._in_place, 1, 1))
        return np.concatenate([snapshot.object_pose[None], np.eye(4)[None], shapes, box])


def table_surface(size: Sequence[float]) -> trimesh.Trimesh:
    """A slab with the sides `size` (m) along x and y whose top is z = 0."""
    slab = trimesh.creation.box(extents=(*size, _TABLE_THICKNESS))
    return slab.apply_translation((0.0, 0.0, -_TABLE_THICKNESS / 2))


def box_surface() -> trimesh.Trimesh:
    """The walls of the box, in `world`."""
    walls = [
        trimesh.creation.box(extents=2.0 * half_extents).apply_translation(middle)
        for middle, half_extents in box_walls()
    ]
    box = trimesh.util.concatenate(walls)
    assert isinstance(box, trimesh.Trimesh)
    return box


def _surface(primitive: Primitive) -> trimesh.Trimesh:
    """Of a shape in its own frame."""
    if primitive.kind == "box":
        return trimesh.creation.box(extents=2.0 * np.asarray(primitive.size))
    radius, half_length = primitive.size
    return trimesh.creation.capsule(
        height=2.0 * half_length, radius=radius, count=_CAPSULE_RESOLUTION
    )


def _shapes(links: Sequence[Link]) -> tuple[np.ndarray, np.ndarray]:
    """Of all shapes: (S,) index of the link, (S, 4, 4) pose in it."""
    found = [(index, shape) for index, link in enumerate(links) for shape in link.primitives]
    return np.array([index for index, _ in found]), np.array([s.pose.matrix for _, s in found])
