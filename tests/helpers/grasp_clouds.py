"""Synthetic object clouds for tests of grasp planning."""

from __future__ import annotations

import numpy as np
import trimesh
from trimesh.creation import box, cylinder, icosphere

from dexgrasp_models.geometry.farthest_points import farthest_points
from dexgrasp_models.perception.fusion import FusedCloud

SOLIDS = {
    "sphere": lambda: icosphere(subdivisions=4, radius=0.035),
    "box": lambda: box(extents=(0.06, 0.05, 0.12)),
    "cylinder": lambda: cylinder(radius=0.033, height=0.11, sections=64),
}


def standing(name: str) -> trimesh.Trimesh:
    """One of the solids, standing on the table at the centre."""
    mesh = SOLIDS[name]()
    mesh.apply_translation((0.0, 0.0, -mesh.bounds[0, 2]))
    return mesh


def seen(mesh: trimesh.Trimesh, count: int = 1024, noise: float = 0.0, seed: int = 0) -> FusedCloud:
    """The cloud of what four cameras above would see: no underside, nothing close to the table."""
    points, faces = trimesh.sample.sample_surface(mesh, 6 * count, seed=seed)
    normals = mesh.face_normals[faces]
    kept = (points[:, 2] > 0.005) & (normals[:, 2] > -0.6)
    points, normals = points[kept], normals[kept]
    spread = farthest_points(points, count)
    points, normals = points[spread], normals[spread]
    points = points + np.random.default_rng(seed).normal(scale=noise, size=points.shape)
    return FusedCloud(
        object_points=points.astype(np.float32),
        object_normals=normals.astype(np.float32),
        scene_points=np.zeros((0, 3), np.float32),
        cameras_used=("synthetic",),
        warnings=(),
    )
