"""A robot's links in the browser, moved by poses; only what moved is sent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tf_transformations
import viser

from dexgrasp_models.robot.link_meshes import link_mesh
from dexgrasp_models.robot.links import Link

_VISIBLE_CHANGE = 1e-4
"""Metres, and entries of a rotation matrix: smaller motions are not worth a message."""


def position_and_wxyz(pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position (3,) and quaternion (w, x, y, z), viser's order, of a (4, 4) pose."""
    return pose[:3, 3], np.roll(tf_transformations.quaternion_from_matrix(pose), 1)


def move(node: viser.SceneNodeHandle, pose: np.ndarray) -> None:
    """Puts a scene node at a (4, 4) pose in its parent."""
    node.position, node.wxyz = position_and_wxyz(pose)


class LinkFigure:
    """The links of a robot under one root frame, hidden until they are first posed."""

    def __init__(
        self,
        scene: viser.SceneApi,
        name: str,
        links: Sequence[Link],
        color: tuple[int, int, int],
    ) -> None:
        """Adds the links' meshes to the scene as ``name/<link>``."""
        self.root = scene.add_frame(name, show_axes=False, visible=False)
        meshes = [link_mesh(link) for link in links]
        self._nodes = [
            scene.add_mesh_simple(f"{name}/{link.name}", mesh.vertices, mesh.faces, color=color)
            if mesh is not None
            else None
            for link, mesh in zip(links, meshes, strict=True)
        ]
        self._shown = np.full((1 + len(links), 4, 4), np.nan)

    def pose(self, root: np.ndarray, links: np.ndarray) -> None:
        """Shows the links.

        Args:
            root: (4, 4) pose of the root frame in the world.
            links: (L, 4, 4) poses of the links in the root frame.
        """
        for node, pose, shown in zip(
            [self.root, *self._nodes], np.concatenate([root[None], links]), self._shown, strict=True
        ):
            # NaN, at the start, counts as a change.
            if node is not None and not np.abs(pose - shown).max() < _VISIBLE_CHANGE:
                move(node, pose)
                shown[:] = pose
        self.root.visible = True
