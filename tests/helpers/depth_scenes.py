"""Depth images of spheres and boxes on the table, ray-cast in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dexgrasp_models.perception.cameras import CameraModel, DepthFrame


@dataclass(frozen=True)
class Sphere:
    centre: tuple[float, float, float]
    radius: float

    def hit(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        relative = origin - np.array(self.centre)
        a = np.einsum("nc,nc->n", rays, rays)
        b = rays @ relative
        discriminant = b * b - a * (relative @ relative - self.radius**2)
        root = np.sqrt(np.where(discriminant >= 0.0, discriminant, np.nan))
        return np.nan_to_num((-b - root) / a, nan=np.inf)

    def surface_distance(self, points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points - np.array(self.centre), axis=1) - self.radius

    def normals(self, points: np.ndarray) -> np.ndarray:
        outward = points - np.array(self.centre)
        return outward / np.linalg.norm(outward, axis=1, keepdims=True)


@dataclass(frozen=True)
class Box:
    centre: tuple[float, float, float]
    size: tuple[float, float, float]

    def hit(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        low = np.array(self.centre) - np.array(self.size) / 2
        high = np.array(self.centre) + np.array(self.size) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            first, second = (low - origin) / rays, (high - origin) / rays
        entry = np.minimum(first, second).max(axis=1)
        leave = np.maximum(first, second).min(axis=1)
        return np.where((entry <= leave) & (entry > 0.0), entry, np.inf)

    def surface_distance(self, points: np.ndarray) -> np.ndarray:
        outside = np.abs(points - np.array(self.centre)) - np.array(self.size) / 2
        return np.linalg.norm(np.maximum(outside, 0.0), axis=1) + np.minimum(
            outside.max(axis=1), 0.0
        )

    def normals(self, points: np.ndarray) -> np.ndarray:
        """Normal of the nearest face."""
        scaled = points - np.array(self.centre)
        axis = (np.abs(scaled) - np.array(self.size) / 2).argmax(axis=1)
        return np.eye(3)[axis] * np.sign(scaled[np.arange(len(points)), axis])[:, None]


@dataclass(frozen=True)
class Table:
    """The plane z = height + slope x."""

    height: float = 0.0
    slope: float = 0.0

    def hit(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        normal = np.array([-self.slope, 0.0, 1.0])
        distance = (self.height - origin @ normal) / (rays @ normal)
        return np.where(distance > 0.0, distance, np.inf)


def render(
    camera: CameraModel,
    bodies: Sequence[Sphere | Box | Table],
    noise: float = 0.0,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Depth image (height, width) uint16 mm; ``noise`` is its standard deviation in metres."""
    rows, columns = np.mgrid[: camera.height, : camera.width].reshape(2, -1)
    optical = np.stack(
        [(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones(rows.size)]
    )
    rays = (camera.world_T_optical[:3, :3] @ optical).T
    origin = camera.world_T_optical[:3, 3]
    depth = np.min([body.hit(origin, rays) for body in bodies], axis=0)
    depth[depth > 5.0] = 0.0
    if noise:
        depth = np.where(depth > 0.0, depth + rng.normal(0.0, noise, depth.shape), 0.0)
    return np.rint(depth * 1000.0).astype(np.uint16).reshape(camera.height, camera.width)


def frames_of(
    rig: Sequence[CameraModel],
    bodies: Sequence[Sphere | Box],
    noise: float = 0.0,
    seed: int = 0,
    table: Table | None = None,
) -> list[DepthFrame]:
    """One frame a camera of the bodies on the table."""
    rng = np.random.default_rng(seed)
    scene = [*bodies, table or Table()]
    return [DepthFrame(camera, render(camera, scene, noise, rng), 0.0) for camera in rig]
