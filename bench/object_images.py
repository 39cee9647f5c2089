"""Depth images of the generated objects on a table, for the measurements beside this file."""

from __future__ import annotations

import numpy as np

from dexgrasp_models.objects.shapes import make_shape
from dexgrasp_models.open3d_import import import_open3d
from dexgrasp_models.perception.cameras import CameraModel, DepthFrame

o3d = import_open3d()


def make_scene(name: str) -> o3d.t.geometry.RaycastingScene:
    """The object by itself, at the table's centre."""
    mesh = make_shape(name)
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32))
    return scene


def render(
    scene: o3d.t.geometry.RaycastingScene,
    camera: CameraModel,
    noise: float,
    rng: np.random.Generator,
) -> DepthFrame:
    """Depth image of the object on an unbounded table, with Gaussian noise (m)."""
    rows, columns = np.mgrid[: camera.height, : camera.width]
    optical = np.stack(
        [(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones(rows.shape)], -1
    )
    directions = optical @ camera.world_T_optical[:3, :3].T
    origin = camera.world_T_optical[:3, 3]
    rays = np.concatenate([np.broadcast_to(origin, directions.shape), directions], axis=-1)
    depth = scene.cast_rays(o3d.core.Tensor(rays.astype(np.float32)))["t_hit"].numpy()
    with np.errstate(divide="ignore"):
        table = -origin[2] / directions[..., 2]
    depth = np.minimum(depth, np.where(table > 0.0, table, np.inf))
    depth = np.where(depth < 5.0, depth + rng.normal(0.0, noise, depth.shape), 0.0)
    return DepthFrame(camera, np.rint(depth * 1000.0).astype(np.uint16), 0.0)
