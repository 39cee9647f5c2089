"""What the planner knows of the object: a smoothed surface and balls that fill its inside.

The fused cloud covers what the cameras see. Two assumptions complete it: the object stands on the
table, so walls that end close above it go on down to it; and it is solid below its visible surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from dexgrasp_models.grasp.config import AnalyticConfig

_MIN_POINTS = 64
_MIN_EXTENT = 0.008  # m; below it there is nothing that fingers could close on
_WALL_GAP = 0.015  # m above the table up to which a wall is continued downwards
_BALL_DEPTHS = (0.006, 0.012, 0.020, 0.030)  # m below the surface at which balls are tried
_COLUMN = 0.005  # m, side of the columns whose centre is the estimated centre of mass
_COLUMN_POINTS = 8  # nearest points, seen from above, that tell the height of a column
_BALL_ERROR = 0.002  # m taken off each ball for the noise of the cloud


class CloudError(ValueError):
    """The cloud cannot be planned on; the message says why."""


@dataclass(frozen=True)
class ObjectSurface:
    """An object as seen from above, in ``world``."""

    points: Tensor
    """(N, 3) surface points, completed down to the table, m."""
    normals: Tensor
    """(N, 3) outward unit normals."""
    obstacle_points: Tensor
    """(M, 3) surface points and centres of inner balls, which the hand must keep clear of."""
    obstacle_radii: Tensor
    """(M,) radii of the inner balls, zero for surface points, m."""
    sparse_normals: Tensor
    """(K, 3) normals of the surface points among the obstacles, which come first."""
    center: Tensor
    """(3,) estimate of the object's centre of mass, m."""

    @classmethod
    def from_cloud(
        cls,
        points: np.ndarray,
        normals: np.ndarray,
        config: AnalyticConfig,
        dtype: torch.dtype = torch.float32,
    ) -> ObjectSurface:
        """Complete and thin out a fused cloud.

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
        centers, radii = _inner_balls(points, normals, config.interior_balls)
        spread = farthest_points(points, config.surface_points)
        sparse = points[spread]
        center = center_of_mass(points)

        def tensor(array: np.ndarray) -> Tensor:
            return torch.as_tensor(array, dtype=dtype)

        return cls(
            points=tensor(points),
            normals=tensor(normals),
            obstacle_points=tensor(np.concatenate([sparse, centers])),
            obstacle_radii=tensor(np.concatenate([np.zeros(len(sparse)), radii])),
            sparse_normals=tensor(normals[spread]),
            center=tensor(center),
        )

    def smooth(self, queries: Tensor, neighbours: int, sigma: float) -> tuple[Tensor, Tensor]:
        """Surface point and normal near each query: Gaussian averages of the nearest cloud points.

        Args:
            queries: (..., 3), m; the result is differentiable with respect to them.
            neighbours: number of cloud points averaged.
            sigma: width of the average, m.

        Returns:
            (..., 3) points and (..., 3) unit normals.
        """
        flat = queries.reshape(-1, 3)
        with torch.no_grad():
            distances = torch.cdist(flat, self.points)
            nearest = distances.topk(min(neighbours, len(self.points)), largest=False).indices
        around, directions = self.points[nearest], self.normals[nearest]
        squared = (flat[:, None] - around).square().sum(-1)
        weights = torch.softmax(-squared / (2.0 * sigma**2), dim=-1)[..., None]
        normals = torch.nn.functional.normalize((weights * directions).sum(1), dim=-1)
        return (weights * around).sum(1).view_as(queries), normals.view_as(queries)


def farthest_points(points: np.ndarray, count: int) -> np.ndarray:
    """Indices of ``count`` points spread by farthest-point sampling, beginning with the lowest.

    Args:
        points: (N, 3).
        count: number wanted; all points if there are fewer.
    """
    if len(points) <= count:
        return np.arange(len(points))
    chosen = np.empty(count, dtype=np.int64)
    chosen[0] = np.argmin(points[:, 2])
    distances = np.full(len(points), np.inf)
    for index in range(1, count):
        offsets = points - points[chosen[index - 1]]
        np.minimum(distances, np.einsum("ij,ij->i", offsets, offsets), out=distances)
        chosen[index] = np.argmax(distances)
    return chosen


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
