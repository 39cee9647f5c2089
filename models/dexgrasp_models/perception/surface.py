"""Even samples of a surface, and the plane around each of them."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from dexgrasp_models.geometry.farthest_points import farthest_points, outermost
from dexgrasp_models.perception.voxels import VoxelCloud, group

_NEIGHBOURS = 32
_POOL_PER_SAMPLE = 3


def sample_evenly(surface: VoxelCloud, size: float, count: int) -> np.ndarray:
    """Indices of ``count`` voxels by farthest points, or of all voxels when there are fewer.

    A surface of very many voxels of ``size`` metres is first thinned to the voxel with the most
    pixels in each coarser cell: as even, faster, and without the sparse shell that noise lays
    around a surface.
    """
    pool = np.arange(len(surface))
    surplus = len(surface) / (_POOL_PER_SAMPLE * count)
    if surplus > 1.0:
        # the number of voxels that a surface occupies falls with the square of their size
        cell, n_cells = group(surface.points, size * np.sqrt(surplus))
        by_pixels = np.argsort(surface.pixels, kind="stable")
        pool = np.empty(n_cells, dtype=np.int64)
        pool[cell[by_pixels]] = by_pixels
        if n_cells < count:
            pool = np.arange(len(surface))
    return pool[evenly_spread(surface.points[:, pool], count)]


def evenly_spread(points: np.ndarray, count: int) -> np.ndarray:
    """Indices of ``count`` of the points (3, N) by farthest points, in single precision.

    Begins with the point farthest from the mean; all indices are returned when N <= ``count``.
    """
    centred = points - points.mean(axis=1, keepdims=True)
    return farthest_points(centred.astype(np.float32).T, count, first=outermost)


def local_planes(
    surface: VoxelCloud, samples: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """Samples (S,) moved onto the plane of their surroundings, (S, 3), and its normals (S, 3).

    Neighbours count by nearness (half a weight at 0.6 ``radius``), by their pixels, and by how far
    they are seen from the same side, so that the two faces of a thin wall stay apart. Normals
    point towards the cameras.
    """
    points, views = surface.points.T.copy(), surface.views.T.copy()
    here, view = points[samples], views[samples]
    k = min(_NEIGHBOURS, len(surface))
    distances, index = cKDTree(points, compact_nodes=False, balanced_tree=False).query(
        here, k=np.arange(1, k + 1)
    )
    same_side = np.einsum("sc,skc->sk", view, views[index])
    weights = surface.pixels[index] * np.exp(-2.0 * (distances / radius) ** 2)
    weights *= np.maximum(same_side, 1e-6)
    weights /= weights.sum(axis=1, keepdims=True)
    offsets = points[index] - here[:, None]
    mean = np.einsum("sk,skc->sc", weights, offsets)
    offsets -= mean[:, None]
    covariance = np.einsum("sk,ska,skb->sab", weights, offsets, offsets)
    normals = np.linalg.eigh(covariance)[1][:, :, 0]
    normals *= np.where(np.einsum("sc,sc->s", normals, view) < 0.0, -1.0, 1.0)[:, None]
    return here + np.einsum("sc,sc->s", mean, normals)[:, None] * normals, normals
