"""Whether a closed mesh passes through itself."""

from __future__ import annotations

import numpy as np
import trimesh

from dexgrasp_models.open3d_import import import_open3d

_RAYS = 2000


def overlap_share(mesh: trimesh.Trimesh) -> float:
    """The share of random lines on which a closed, outward mesh passes through itself.

    Going along a line, a sound surface is entered and left by turns. A place that is entered
    twice before it is left lies in two solids at once; one that is left first is inside out.
    Lines that touch an edge may count by chance, about one in a thousand.
    """
    o3d = import_open3d()
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    center = mesh.bounds.mean(axis=0)
    radius = np.linalg.norm(mesh.vertices - center, axis=1).max()
    vertices = ((mesh.vertices - center) / radius).astype(np.float32)
    scene.add_triangles(o3d.core.Tensor(vertices), o3d.core.Tensor(mesh.faces.astype(np.uint32)))

    rng = np.random.default_rng(0)
    targets = rng.permutation(mesh.triangles_center)[:_RAYS]
    targets = (np.resize(targets, (_RAYS, 3)) - center) / radius
    directions = rng.normal(size=(_RAYS, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rays = np.concatenate([targets - 3.0 * directions, directions], axis=1).astype(np.float32)
    hits = scene.list_intersections(o3d.core.Tensor(rays))

    ray, face = hits["ray_ids"].numpy().astype(int), hits["primitive_ids"].numpy().astype(int)
    if not len(ray):  # so much longer than wide that single precision sees nothing of it
        return 0.0
    order = np.lexsort([hits["t_hit"].numpy(), ray])
    ray, face = ray[order], face[order]
    entering = np.einsum("hi,hi->h", mesh.face_normals[face], directions[ray]) < 0.0
    steps = np.where(entering, 1, -1)
    first = np.concatenate([[True], ray[1:] != ray[:-1]])
    before = np.cumsum(steps) - steps
    depth = np.cumsum(steps) - before[first][np.cumsum(first) - 1]
    bad = np.unique(ray[(depth < 0) | (depth > 1)])
    return len(bad) / _RAYS
