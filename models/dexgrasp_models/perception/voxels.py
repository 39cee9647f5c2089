"""Averages, neighbours and clusters of points on voxel grids.

Points are stored by columns here, (3, N): NumPy reduces and gathers them several times faster so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True, eq=False)
class VoxelCloud:
    """Means over the occupied voxels of a grid.

    Attributes:
        points: (3, N) mean positions, m, float64.
        views: (3, N) means of the unit vectors towards the cameras.
        pixels: (N,) how many pixels each stands for.
    """

    points: np.ndarray
    views: np.ndarray
    pixels: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)

    def select(self, chosen: np.ndarray) -> VoxelCloud:
        """Those of a mask or of indices."""
        return VoxelCloud(self.points[:, chosen], self.views[:, chosen], self.pixels[chosen])


def average(points: np.ndarray, camera: np.ndarray, origins: np.ndarray, size: float) -> VoxelCloud:
    """Average points (3, N) over voxels of ``size`` metres.

    Args:
        points: (3, N) positions.
        camera: (N,) index of the camera that saw each.
        origins: (C, 3) positions of the cameras.
    """
    voxel, count = group(points, size)
    n_cameras = len(origins)
    seen_by = np.bincount(voxel * n_cameras + camera, minlength=count * n_cameras)
    seen_by = seen_by.reshape(count, n_cameras).T
    pixels = seen_by.sum(axis=0)
    means = _means(points, voxel, pixels)
    views = np.zeros_like(means)
    for origin, seen in zip(origins, seen_by, strict=True):
        towards_camera = origin[:, None] - means
        views += towards_camera * (seen / pixels / np.sqrt((towards_camera**2).sum(axis=0)))
    return VoxelCloud(means, views, pixels)


def thin(points: np.ndarray, size: float, min_points: int = 1) -> np.ndarray:
    """Means (3, M) of the points (3, N) in each voxel that holds at least ``min_points``."""
    voxel, count = group(points, size)
    numbers = np.bincount(voxel, minlength=count)
    return _means(points, voxel, numbers)[:, numbers >= min_points]


def group(points: np.ndarray, size: float) -> tuple[np.ndarray, int]:
    """Number (N,) of the occupied voxel that each point (3, N) lies in, and how many there are."""
    if not points.shape[1]:
        return np.empty(0, dtype=np.int64), 0
    cell, shape = _cells(points, size)
    # a dense table over the bounding box is several times faster than sorting the cells
    occupied = np.zeros(int(np.prod(shape)), dtype=bool)
    occupied[cell] = True
    occupied = np.flatnonzero(occupied)
    number = np.empty(int(np.prod(shape)), dtype=np.int64)
    number[occupied] = np.arange(len(occupied))
    return number[cell], len(occupied)


def occupied_neighbours(points: np.ndarray, size: float) -> np.ndarray:
    """How many of the 26 voxels around each point's own (N,) are occupied; 8 in a flat surface."""
    if not points.shape[1]:
        return np.zeros(0, dtype=np.int64)
    cell, shape = _cells(points, size, padding=1)
    occupied = np.zeros(int(np.prod(shape)), dtype=bool)
    occupied[cell] = True
    neighbours = np.full(points.shape[1], -1)
    for step in np.ndindex(3, 3, 3):
        i, j, k = (index - 1 for index in step)
        neighbours += occupied[cell + (i * shape[1] + j) * shape[2] + k]
    return neighbours


def largest_cluster(points: np.ndarray, size: float) -> np.ndarray:
    """Mask (N,) of the cluster with the most points; clusters are connected parts of the grid."""
    cell, shape = _cells(points, size)
    occupied = np.zeros(shape, dtype=bool)
    occupied.reshape(-1)[cell] = True
    labels, _ = ndimage.label(occupied, structure=np.ones((3, 3, 3)))
    label = labels.reshape(-1)[cell]
    return label == np.bincount(label).argmax()


def _cells(points: np.ndarray, size: float, padding: int = 0) -> tuple[np.ndarray, tuple[int, ...]]:
    """Flat cell (N,) of each point in the grid over their bounding box, and the grid's shape."""
    index, shape = [], []
    for values in points:
        along = np.floor(values * (1.0 / size)).astype(np.int32)
        along -= along.min() - padding
        index.append(along.astype(np.int64))
        shape.append(int(along.max()) + 1 + padding)
    return (index[0] * shape[1] + index[1]) * shape[2] + index[2], tuple(shape)


def _means(values: np.ndarray, voxel: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    sums = [np.bincount(voxel, weights=row, minlength=len(numbers)) for row in values]
    return np.stack(sums) / numbers
