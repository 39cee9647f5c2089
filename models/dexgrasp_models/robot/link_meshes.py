"""Triangle meshes of a robot's links, built once from their primitives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trimesh

from dexgrasp_models.robot.links import Link, Primitive

_CAPSULE_RESOLUTION = [8, 16]
"""Rings from pole to pole, and sections around: round enough to see, few enough to send."""


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh: vertices (V, 3) in metres, faces (F, 3) as indices of vertices."""

    vertices: np.ndarray
    faces: np.ndarray


def primitive_mesh(primitive: Primitive) -> Mesh:
    """The surface of a primitive in its link's frame."""
    if primitive.kind == "box":
        solid = trimesh.creation.box(extents=2.0 * np.asarray(primitive.size))
        # Corners of their own for each face: their normals stay those of the faces.
        solid.unmerge_vertices()
    else:
        radius, half_length = primitive.size
        solid = trimesh.creation.capsule(
            height=2.0 * half_length, radius=radius, count=_CAPSULE_RESOLUTION
        )
    solid.apply_transform(primitive.pose.matrix)
    return Mesh(np.asarray(solid.vertices), np.asarray(solid.faces))


def link_mesh(link: Link) -> Mesh | None:
    """The surfaces of a link's primitives in its frame; None if it has none."""
    if not link.primitives:
        return None
    return joined([primitive_mesh(primitive) for primitive in link.primitives])


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Several meshes (at least one) as one."""
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)]),
    )


def posed(meshes: Sequence[Mesh | None], poses: np.ndarray) -> Mesh:
    """The links' meshes as one, each at its pose (L, 4, 4); links without a mesh are left out."""
    return joined(
        [
            Mesh(mesh.vertices @ pose[:3, :3].T + pose[:3, 3], mesh.faces)
            for mesh, pose in zip(meshes, poses, strict=True)
            if mesh is not None
        ]
    )
