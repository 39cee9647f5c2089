"""What the planner knows of the object: a smoothed surface and balls that fill its inside.

The fused cloud covers what the cameras see. Two assumptions complete it: the object stands on the
table, so walls that end close above it go on down to it; and it is solid below its visible surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from dexgrasp_models.geometry.farthest_points import farthest_points
from dexgrasp_models.synthesis.energy_config import EnergyConfig

_MIN_POINTS = 64
_SPARSE_POINTS = 256  # of the surface: where a digit looks for a contact
_MIN_EXTENT = 0.008  # m; below it there is nothing that fingers could close on
_WALL_GAP = 0.015  # m above the table up to which a wall is continued downwards
_BALL_DEPTHS = (0.006, 0.012, 0.020, 0.030)  # m below the surface at which balls are tried
_COLUMN = 0.005  # m, side of the columns whose centre is the estimated centre of mass
_COLUMN_POINTS = 8  # nearest points, seen from above, that tell the height of a column
_BALL_ERROR = 0.002  # m taken off each ball for the noise of the cloud
_FAR = 1e3  # m


class CloudError(ValueError):
    """The cloud cannot be planned on; the message says why."""


@dataclass(frozen=True)
class ObjectSurface:
    """G objects on the table, in ``world``, each of which B / G grasps of a batch are for.

    The grasps of a batch are in the order of their objects.
    """

    points: Tensor
    """(G, N, 3) surface points, completed down to the table, m."""
    normals: Tensor
    """(G, N, 3) outward unit normals."""
    obstacle_points: Tensor
    """(G, M, 3) K sparse surface points, centres of inner balls, and further surface points, which
    the hand must keep clear of."""
    obstacle_radii: Tensor
    """(G, M) radii of the inner balls, zero for surface points, m; negative ones fill up."""
    sparse_normals: Tensor
    """(G, K, 3) normals of the sparse surface points."""
    center: Tensor
    """(G, 3) centre of mass, or an estimate of it, m."""
    coarse: int
    """How many of the obstacles, from the first, are enough for a rough look."""

    @classmethod
    def from_cloud(
        cls,
        points: np.ndarray,
        normals: np.ndarray,
        config: EnergyConfig,
        dtype: torch.dtype = torch.float32,
    ) -> ObjectSurface:
        """Complete and thin out a fused cloud of one object.

        Args:
            points: (N, 3) object points in ``world``, m.
            normals: (N, 3) outward normals.
            config: numbers of points.
            dtype: of the tensors.

        Raises:
            CloudError: too few, non-finite or degenerate points.
        """
        points, normals = _checked(points, normals)
        points, normals = _with_walls(points, normals)
        return cls._thinned(points, normals, center_of_mass(points), config, dtype)

    @classmethod
    def from_surface(
        cls,
        points: np.ndarray,
        normals: np.ndarray,
        center: np.ndarray,
        config: EnergyConfig,
        dtype: torch.dtype = torch.float32,
    ) -> ObjectSurface:
        """One object that is known from all sides.

        Args:
            points: (N, 3) samples of its whole surface in ``world``, m.
            normals: (N, 3) outward normals.
            center: (3,) centre of mass, m.
            config: numbers of points.
            dtype: of the tensors.

        Raises:
            CloudError: as `from_cloud`.
        """
        return cls._thinned(*_checked(points, normals), center, config, dtype)

    @classmethod
    def _thinned(
        cls,
        points: np.ndarray,
        normals: np.ndarray,
        center: np.ndarray,
        config: EnergyConfig,
        dtype: torch.dtype,
    ) -> ObjectSurface:
        centers, radii = _inner_balls(points, normals, config.interior_balls)
        spread = farthest_points(points, config.surface_points)
        # Farthest points come in such an order that the first ones are spread as well.
        sparse, further = np.split(spread, [_SPARSE_POINTS])
        missing = config.interior_balls - len(centers)
        centers = np.concatenate([centers, np.zeros((missing, 3))])
        radii = np.concatenate([radii, np.full(missing, -_FAR)])

        def tensor(*arrays: np.ndarray) -> Tensor:
            return torch.as_tensor(np.concatenate(arrays), dtype=dtype)[None]

        return cls(
            points=tensor(points),
            normals=tensor(normals),
            obstacle_points=tensor(points[sparse], centers, points[further]),
            obstacle_radii=tensor(np.zeros(len(sparse)), radii, np.zeros(len(further))),
            sparse_normals=tensor(normals[sparse]),
            center=tensor(center),
            coarse=len(sparse) + len(centers),
        )

    def to(self, device: torch.device | str) -> ObjectSurface:
        """The same on a device."""
        moved = {name: getattr(self, name).to(device) for name in _TENSORS}
        return replace(self, **moved)

    def of_each_grasp(self, values: Tensor, grasps: int) -> Tensor:
        """(B, ...) rows of (G, ...) ``values`` for a batch of B grasps.

        Raises:
            ValueError: the batch can't be split evenly among the objects.
        """
        groups = len(values)
        if grasps % groups:
            raise ValueError(f"{grasps} grasps can't be split evenly among {groups} objects")
        if groups == 1:
            return values.expand(grasps, *values.shape[1:])
        return values.repeat_interleave(grasps // groups, dim=0)

    def nearest_sparse(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Distance to the nearest of the thinned points, and the normal there; no gradient.

        Args:
            queries: (B, ..., 3) points of each grasp, m.

        Returns:
            (B, ...) m, and (B, ..., 3).
        """
        groups, count = self.sparse_normals.shape[:2]
        with torch.no_grad():
            sparse = self.obstacle_points[:, :count]
            distances, nearest = torch.cdist(queries.reshape(groups, -1, 3), sparse).min(-1)
            normals = _rows(self.sparse_normals, nearest)
        return distances.view(queries.shape[:-1]), normals.view_as(queries)

    def smooth(self, queries: Tensor, neighbours: int, sigma: float) -> tuple[Tensor, Tensor]:
        """Surface point and normal near each query: Gaussian averages of the nearest cloud points.

        Args:
            queries: (B, ..., 3) points of each grasp, m; the result is differentiable with respect
                to them.
            neighbours: number of cloud points averaged.
            sigma: width of the average, m.

        Returns:
            (B, ..., 3) points and (B, ..., 3) unit normals.
        """
        groups, count = self.points.shape[:2]
        flat = queries.reshape(groups, -1, 3)
        with torch.no_grad():
            distances = torch.cdist(flat, self.points)
            nearest = distances.topk(min(neighbours, count), largest=False).indices
        around, directions = _rows(self.points, nearest), _rows(self.normals, nearest)
        squared = (flat[..., None, :] - around).square().sum(-1)
        weights = torch.softmax(-squared / (2.0 * sigma**2), dim=-1)[..., None]
        normals = torch.nn.functional.normalize((weights * directions).sum(-2), dim=-1)
        return (weights * around).sum(-2).view_as(queries), normals.view_as(queries)


def stacked(surfaces: Sequence[ObjectSurface]) -> ObjectSurface:
    """Several objects as one, in order.

    Raises:
        ValueError: they differ in their numbers of surface points, or there is none.
    """
    if not surfaces:
        raise ValueError("no objects to put together")
    try:
        together: dict[str, Any] = {
            name: torch.cat([getattr(s, name) for s in surfaces]) for name in _TENSORS
        }
        return replace(surfaces[0], **together)
    except RuntimeError as error:
        raise ValueError("objects put together need as many surface points each") from error


_TENSORS = tuple(item.name for item in fields(ObjectSurface) if item.type == "Tensor")


def _rows(values: Tensor, indices: Tensor) -> Tensor:
    """(G, ..., D) rows of (G, N, D) values, of (G, ...) indices into each."""
    groups, count = values.shape[:2]
    if groups == 1:
        return values[0][indices]
    first = count * torch.arange(groups, device=values.device)
    shape = (groups, *(1,) * (indices.dim() - 1))
    return values.flatten(0, 1)[indices + first.view(shape)]


def center_of_mass(points: np.ndarray) -> np.ndarray:
    """Centre of mass of an object of even density that is solid below its visible surface.

    The object is taken as columns that stand on the table, as high as the surface there. This is
    within a centimetre for the objects we tried, where the mean of the points, or the middle of
    their box, is off by two for a hammer.

    Args:
        points: (N, 3) surface points above the table z = 0, m.

    Returns:
        (3,) m.
    """
    spacing = np.median(cKDTree(points).query(points, k=_COLUMN_POINTS)[0][:, _COLUMN_POINTS // 2])
    low, high = points[:, :2].min(0) - _COLUMN, points[:, :2].max(0) + _COLUMN
    axes = [np.arange(start, end, _COLUMN) for start, end in zip(low, high, strict=True)]
    columns = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    distances, nearest = cKDTree(points[:, :2]).query(
        columns, k=_COLUMN_POINTS, distance_upper_bound=spacing
    )
    found = np.isfinite(distances)
    heights = np.where(found, points[np.where(found, nearest, 0), 2], 0.0).max(1)
    volume = heights.sum()
    x, y = heights @ columns / volume
    return np.array([x, y, 0.5 * np.square(heights).sum() / volume])


def _checked(points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points, normals = np.asarray(points, np.float64), np.asarray(normals, np.float64)
    if points.ndim != 2 or points.shape[1:] != (3,) or points.shape != normals.shape:
        raise CloudError(
            f"expected points and normals of shape (N, 3), got {points.shape} and {normals.shape}"
        )
    if len(points) < _MIN_POINTS:
        raise CloudError(f"{len(points)} object points; at least {_MIN_POINTS} are needed")
    if not (np.isfinite(points).all() and np.isfinite(normals).all()):
        raise CloudError("the cloud has points or normals that are not finite")
    lengths = np.linalg.norm(normals, axis=1)
    if (lengths < 0.5).any():
        raise CloudError("the cloud has normals of zero length")
    low, high = points.min(0), points.max(0)
    if high[2] < _MIN_EXTENT:
        raise CloudError(f"the object is {1e3 * high[2]:.0f} mm high: too flat to be grasped")
    if np.sort(high - low)[1] < _MIN_EXTENT:
        raise CloudError("the cloud is a line: nothing to grasp")
    return points, normals / lengths[:, None]


def _with_walls(points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Continue walls that end just above the table down to it."""
    # The cut of the table plane takes off the lowest millimetres of a wall.
    foot = (points[:, 2] < _WALL_GAP) & (np.abs(normals[:, 2]) < 0.5)
    feet, sideways = points[foot], normals[foot] * (1.0, 1.0, 0.0)
    sideways /= np.linalg.norm(sideways, axis=1, keepdims=True).clip(1e-6)
    below = [feet * (1.0, 1.0, 0.0) + (0.0, 0.0, height) for height in (0.001, 0.006)]
    keep = [feet[:, 2] > height + 0.003 for height in (0.001, 0.006)]
    points = np.concatenate([points, *(level[k] for level, k in zip(below, keep, strict=True))])
    normals = np.concatenate([normals, *(sideways[k] for k in keep)])
    return points, normals


def _inner_balls(
    points: np.ndarray, normals: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Balls that fit under the surface and above the table, (K, 3) centres and (K,) radii."""
    tree = cKDTree(points)
    centers, radii = [], []
    for depth in _BALL_DEPTHS:
        candidates = points - depth * normals
        distances, nearest = tree.query(candidates, k=6)
        inward = np.einsum("nki,nki->nk", candidates[:, None] - points[nearest], normals[nearest])
        radius = np.minimum(np.minimum(distances[:, 0], depth), candidates[:, 2])
        inside = (inward < 0).all(1) & (radius > 0.7 * depth)
        centers.append(candidates[inside])
        radii.append(radius[inside] - _BALL_ERROR)
    all_centers, all_radii = np.concatenate(centers), np.concatenate(radii)
    if not len(all_centers) or not count:
        return np.zeros((0, 3)), np.zeros(0)
    chosen = farthest_points(all_centers, count)
    return all_centers[chosen], all_radii[chosen]
