"""Triangles of faces with any number of corners, concave ones included."""

from __future__ import annotations

from collections.abc import Sequence

import manifold3d
import numpy as np

_FLAT = 1e-6  # of a triangle to its face: as good as none
_CROSSING = 0.01  # area by which the triangles of a face that crosses itself exceed it, at least


def fans_are_right(points: np.ndarray) -> np.ndarray:
    """(K,) whether the triangles from the first of its corners to all others make up a face.

    They do where all of them turn the same way, as in a convex face; not where a corner is
    reentrant, nor where three corners in a row lie on a line, so that a triangle has no area.

    Args:
        points: (K, N, 3) corners of K faces.
    """
    spokes = points[:, 1:] - points[:, :1]
    crosses = np.cross(spokes[:, :-1], spokes[:, 1:])
    normals = crosses.sum(axis=1)
    turns = np.einsum("kni,ki->kn", crosses, normals)
    return (turns > _FLAT * np.einsum("ki,ki->k", normals, normals)[:, None]).all(axis=1)


def all_fans_are_right(vertices: np.ndarray, faces: Sequence[Sequence[int] | np.ndarray]) -> bool:
    """Whether that holds for all faces, triangles aside; (V, 3) vertices and faces' indices."""
    by_length: dict[int, list[Sequence[int] | np.ndarray]] = {}
    for face in faces:
        if len(face) > 3:
            by_length.setdefault(len(face), []).append(face)
    return all(fans_are_right(vertices[np.array(some)]).all() for some in by_length.values())


def triangulated(points: np.ndarray) -> np.ndarray:
    """(N - 2, 3) indices of triangles that make up a face of (N, 3) corners, in its sense.

    Raises:
        ValueError: the face crosses itself.
    """
    count = len(points)
    fan = np.column_stack([np.zeros(count - 2), range(1, count - 1), range(2, count)]).astype(int)
    if count == 3 or fans_are_right(points[None])[0]:
        return fan
    centred = points - points.mean(axis=0)
    size = np.abs(centred).max()
    spokes = centred - centred[0]
    normal = np.cross(spokes[1:-1], spokes[2:]).sum(axis=0)
    area = np.linalg.norm(normal)
    if np.linalg.svd(centred, compute_uv=False)[1] <= 1e-9 * size:
        return fan  # a line: its triangles only close the surface
    crossing = f"a face of {count} corners crosses itself"
    if area <= 1e-9 * size**2:
        raise ValueError(crossing)
    across = np.cross(normal, np.eye(3)[np.abs(normal).argmin()])
    axes = np.stack([across, np.cross(normal, across)], axis=1)
    flat = centred @ (axes / np.linalg.norm(axes, axis=0)) / size
    triangles = np.asarray(manifold3d.triangulate([flat]), dtype=int)
    (ax, ay), (bx, by), (cx, cy) = np.moveaxis(flat[triangles], 0, 2)
    doubled = np.abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))
    excess = doubled.sum() / (area / size**2) - 1.0
    if len(triangles) != count - 2 or excess > _CROSSING:
        raise ValueError(crossing)
    return triangles


def all_triangulated(
    vertices: np.ndarray, faces: Sequence[Sequence[int] | np.ndarray]
) -> np.ndarray:
    """(M, 3) indices of the triangles of faces with any number of corners.

    Corners told twice in a row count once; faces of fewer than three are none.

    Raises:
        ValueError: a face crosses itself.
    """
    parts = [np.zeros((0, 3), dtype=np.int64)]
    for face in faces:
        corners = np.asarray(face, dtype=np.int64)
        corners = corners[corners != np.roll(corners, 1)] if len(corners) > 3 else corners
        if len(corners) >= 3:
            parts.append(corners[triangulated(vertices[corners])])
    return np.concatenate(parts)
