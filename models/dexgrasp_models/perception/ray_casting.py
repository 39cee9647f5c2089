"""Images of rigid bodies by ray casting (Open3D, Embree): no GL, no display."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import trimesh

from dexgrasp_models.open3d_import import import_open3d
from dexgrasp_models.perception.cameras import CameraModel
from dexgrasp_models.robot.link_meshes import Mesh

_LIGHT = np.array([0.35, -0.5, 0.8]) / np.linalg.norm([0.35, -0.5, 0.8])
_AMBIENT = 0.4
_BACKGROUND = np.array([225, 230, 236], dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Body:
    """A rigid surface with one colour."""

    mesh: trimesh.Trimesh | Mesh
    """In the body's frame, m."""
    color: tuple[float, float, float]
    """RGB in [0, 1]."""


@dataclass(frozen=True, eq=False)
class Hits:
    """What the rays of an image met first."""

    depth: np.ndarray
    """(H, W) along the optical axis in m; inf where nothing was met."""
    cosine: np.ndarray
    """(H, W) |cos| between ray and surface normal."""
    normals: np.ndarray
    """(H, W, 3) unit normals in `world`, outwards; zero where nothing was met."""
    bodies: np.ndarray
    """(H, W) index of the body met, -1 for none."""


class RayCaster:
    """Casts the rays of cameras at bodies whose poses change from call to call."""

    def __init__(self, bodies: Sequence[Body]) -> None:
        self.colors = np.array([body.color for body in bodies], dtype=np.float32)
        """(N, 3) RGB in [0, 1] of the bodies."""
        self._o3d = import_open3d()
        self._vertices = [np.asarray(body.mesh.vertices, dtype=np.float64) for body in bodies]
        counts = [len(body.mesh.faces) for body in bodies]
        offsets = np.cumsum([0] + [len(vertices) for vertices in self._vertices[:-1]])
        faces = [b.mesh.faces + offset for b, offset in zip(bodies, offsets, strict=True)]
        self._faces = np.concatenate(faces).astype(np.uint32)
        self._body_of_face = np.append(np.repeat(np.arange(len(bodies)), counts), -1).astype(
            np.int16
        )
        self._rays: dict[CameraModel, tuple[Any, np.ndarray]] = {}
        self._scene: Any = None

    def place(self, poses: np.ndarray) -> None:
        """Move the bodies to (N, 4, 4) poses in `world`."""
        world = [
            vertices @ pose[:3, :3].T + pose[:3, 3]
            for vertices, pose in zip(self._vertices, poses, strict=True)
        ]
        core = self._o3d.core
        # One thread: images must not depend on how many cores there are, nor crowd out the nodes.
        self._scene = self._o3d.t.geometry.RaycastingScene(nthreads=1)
        self._scene.add_triangles(
            core.Tensor(np.concatenate(world).astype(np.float32)), core.Tensor(self._faces)
        )

    def cast(self, camera: CameraModel) -> Hits:
        """First hits of one ray through each pixel's centre.

        Raises:
            RuntimeError: the bodies have not been placed.
        """
        if self._scene is None:
            raise RuntimeError("place the bodies before casting rays")
        rays, inverse_length = self._camera_rays(camera)
        answer = self._scene.cast_rays(rays)
        depth = answer["t_hit"].numpy()
        normals = answer["primitive_normals"].numpy()
        # Misses have the greatest id; the last entry of the table says so.
        faces = np.minimum(answer["primitive_ids"].numpy(), len(self._body_of_face) - 1)
        directions = rays.numpy()[..., 3:]
        cosine = np.abs(np.einsum("hwi,hwi->hw", directions, normals)) * inverse_length
        return Hits(depth, cosine, normals, self._body_of_face[faces])

    def directions(self, camera: CameraModel) -> tuple[np.ndarray, np.ndarray]:
        """(H, W, 3) rays in `world`, of length 1 along the optical axis, and (H, W) 1 / lengths."""
        rays, inverse_length = self._camera_rays(camera)
        return rays.numpy()[..., 3:], inverse_length

    def occluded(self, points: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """(...) bool: whether a body lies behind (..., 3) points in a direction (3,)."""
        rays = np.empty((*points.shape[:-1], 6), dtype=np.float32)
        rays[..., :3] = points
        rays[..., 3:] = direction
        return self._scene.test_occlusions(self._o3d.core.Tensor(rays)).numpy()

    def shade(self, hits: Hits) -> np.ndarray:
        """(H, W, 3) uint8 RGB of hits: each body's colour under one lamp."""
        light = _AMBIENT + (1.0 - _AMBIENT) * np.clip(
            hits.normals @ _LIGHT.astype(np.float32), 0.0, 1.0
        )
        color = (255.0 * self.colors[hits.bodies] * light[..., None]).astype(np.uint8)
        return np.where((hits.bodies >= 0)[..., None], color, _BACKGROUND)

    def _camera_rays(self, camera: CameraModel) -> tuple[Any, np.ndarray]:
        """Open3D tensor (H, W, 6) of origins and directions in `world`, and (H, W) 1 / lengths.

        Directions have length 1 along the optical axis, so that a ray's length is the depth.
        """
        if camera not in self._rays:
            optical = camera.optical_rays()
            rays = np.empty((camera.height, camera.width, 6), dtype=np.float32)
            rays[..., :3] = camera.world_T_optical[:3, 3]
            rays[..., 3:] = optical @ camera.world_T_optical[:3, :3].T
            inverse_length = (1.0 / np.linalg.norm(optical, axis=-1)).astype(np.float32)
            self._rays[camera] = self._o3d.core.Tensor(rays), inverse_length
        return self._rays[camera]
