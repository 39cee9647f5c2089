"""Building blocks of the library: closed solids, any unit of length, joined with Manifold.

Unless said otherwise a solid stands on z = 0 with its axis on x = y = 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from manifold3d import CrossSection, Manifold, Mesh64, OpType, triangulate
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator

_X, _Y = np.eye(3)[:2]
_ROUND = 16  # facets around an edge's rounding or a thin tube
_TURNED = 40  # facets around a body


def union(solids: Iterable[Manifold]) -> Manifold:
    """All solids as one."""
    return Manifold.batch_boolean(list(solids), OpType.Add)


def lofted(rings: ArrayLike) -> Manifold:
    """The solid through (M, K, 3) planar rings of equal K, closed with flat ends.

    Raises:
        ValueError: the rings enclose nothing, or are not finite.
    """
    rings = np.asarray(rings, dtype=np.float64)
    count, size = rings.shape[:2]
    index = np.arange(count * size).reshape(count, size)
    low, high = index[:-1], index[1:]
    low_next, high_next = np.roll(low, -1, axis=1), np.roll(high, -1, axis=1)
    sides = [np.stack([low, low_next, high_next], -1), np.stack([low, high_next, high], -1)]
    start, end = _cap(rings[0])[:, ::-1], index[-1][_cap(rings[-1])]
    faces = np.concatenate([*(side.reshape(-1, 3) for side in sides), start, end])
    vertices = rings.reshape(-1, 3)
    corners = vertices[faces]
    if np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) < 0.0:
        faces = faces[:, ::-1]
    solid = Manifold(Mesh64(vertices, np.ascontiguousarray(faces, dtype=np.uint64)))
    if solid.is_empty():
        raise ValueError(f"the rings make no solid: {solid.status().name}")
    return solid


def turned(
    profile: ArrayLike, squareness: float = 2.0, depth: float = 1.0, facets: int = _TURNED
) -> Manifold:
    """A body of (radius > 0, height) points about z, closed flat at the first and the last.

    Args:
        profile: (M, 2) from one end to the other.
        squareness: exponent of the section's superellipse; 2 is round, 8 nearly square.
        depth: the section's extent along y by that along x.
        facets: points around.
    """
    profile = np.asarray(profile, dtype=np.float64)
    angle = np.linspace(0.0, 2.0 * np.pi, facets, endpoint=False)
    section = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    section /= np.linalg.norm(section, ord=squareness, axis=1, keepdims=True)
    rings = np.empty((len(profile), facets, 3))
    rings[..., :2] = profile[:, None, :1] * section * (1.0, depth)
    rings[..., 2] = profile[:, 1:]
    return lofted(rings)


def hollowed(
    profile: ArrayLike, wall: float, floor: float, squareness: float = 2.0
) -> tuple[Manifold, Manifold]:
    """A vessel open at the top, and what to cut from parts that are attached to it.

    The cutter is the cavity with half of the wall, so that no attached part shows inside; it goes
    on above the rim.

    Args:
        profile: (M, 2) points (radius, height) of the outside, heights rising.
        wall: thickness of the side, measured across the axis.
        floor: height of the cavity's bottom.
        squareness: as in `turned`.
    """
    profile = np.asarray(profile, dtype=np.float64)
    top = profile[-1, 1]
    heights = np.concatenate([[floor], profile[profile[:, 1] > floor, 1], [2.0 * top - floor]])
    radii = np.interp(heights, profile[:, 1], profile[:, 0])
    cavity = turned(np.stack([radii - wall, heights], axis=1), squareness)
    cutter = turned(np.stack([radii - wall / 2, heights - floor / 2], axis=1), squareness)
    return turned(profile, squareness) - cavity, cutter


def cylinder(radius: float, height: float, top_radius: float | None = None) -> Manifold:
    """A cylinder or a frustum."""
    return Manifold.cylinder(height, radius, radius if top_radius is None else top_radius, _TURNED)


def ellipsoid(semi_axes: Sequence[float] | np.ndarray, facets: int = 32) -> Manifold:
    """An ellipsoid about the origin."""
    return Manifold.sphere(1.0, facets).scale(tuple(semi_axes))


def torus(radius: float, tube: float) -> Manifold:
    """A ring about z, its middle at the origin."""
    return CrossSection.circle(tube, _ROUND).translate((radius, 0.0)).revolve(_TURNED)


def rounded_box(size: ArrayLike, radius: float) -> Manifold:
    """A box with rounded edges; `radius` at most half the shortest side."""
    x, y, z = np.asarray(size, dtype=np.float64)
    ball = Manifold.sphere(radius, 12)
    corners = [
        ball.translate((i * (x / 2 - radius), j * (y / 2 - radius), z / 2 + k * (z / 2 - radius)))
        for i in (-1, 1)
        for j in (-1, 1)
        for k in (-1, 1)
    ]
    return Manifold.batch_hull(corners)


def slab(outline: ArrayLike, height: float, bevel: float = 0.0) -> Manifold:
    """A flat body of an outline, with bevelled edges.

    Args:
        outline: (K, 2) counter-clockwise, with no corner sharper than the bevel allows.
        height: along z.
        bevel: how far the top and the bottom stay inside the outline.
    """
    outline = np.asarray(outline, dtype=np.float64)
    if not bevel:
        return CrossSection([outline]).extrude(height)
    along = np.roll(outline, -1, axis=0) - np.roll(outline, 1, axis=0)
    inward = np.stack([-along[:, 1], along[:, 0]], axis=1)
    inside = outline + bevel * inward / np.linalg.norm(inward, axis=1, keepdims=True)
    layers = [(inside, 0.0), (outline, bevel), (outline, height - bevel), (inside, height)]
    return lofted([np.column_stack([ring, np.full(len(ring), z)]) for ring, z in layers])


def swept(
    path: ArrayLike, radii: ArrayLike, up: ArrayLike = (0.0, 1.0, 0.0), facets: int = _ROUND
) -> Manifold:
    """A tube of elliptic sections along a path.

    Args:
        path: (N, 3), nowhere parallel to `up`.
        radii: one for all; (N,); or (N, 2): across `up` and along it.
        up: for a path in a plane, the plane's normal.
        facets: points around.
    """
    path = np.asarray(path, dtype=np.float64)
    radii = np.asarray(radii, dtype=np.float64)
    radii = np.broadcast_to(radii[:, None] if radii.ndim == 1 else radii, (len(path), 2))
    tangent = np.gradient(path, axis=0)
    side = np.cross(np.asarray(up, dtype=np.float64), tangent)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    normal = np.cross(tangent, side)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    angle = np.linspace(0.0, 2.0 * np.pi, facets, endpoint=False)[:, None]
    axes = np.stack([radii[:, :1] * side, radii[:, 1:] * normal])[:, :, None]
    return lofted(path[:, None] + np.cos(angle) * axes[0] + np.sin(angle) * axes[1])


def limb(points: ArrayLike, radii: Sequence[float]) -> Manifold:
    """A chain of balls, each joined to the next by its convex hull; (N, 3) centres, N radii."""
    balls = [
        Manifold.sphere(radius, _ROUND).translate(tuple(point))
        for point, radius in zip(np.asarray(points, dtype=np.float64), radii, strict=True)
    ]
    return union(Manifold.batch_hull(list(pair)) for pair in pairwise(balls))


def bow(start: ArrayLike, end: ArrayLike, bulge: ArrayLike, points: int = 24) -> np.ndarray:
    """(points, 3) path from start to end that swings out by the vector `bulge` in the middle."""
    t = np.linspace(0.0, 1.0, points)[:, None]
    chord = (1.0 - t) * np.asarray(start) + t * np.asarray(end)
    return chord + np.sin(np.pi * t) ** 0.7 * np.asarray(bulge)


def smooth(points: ArrayLike, count: int = 24) -> np.ndarray:
    """(count, D) points on a curve through (M, D) points that does not overshoot them."""
    points = np.asarray(points, dtype=np.float64)
    length = np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()
    knots = np.concatenate([[0.0], length])
    return PchipInterpolator(knots, points)(np.linspace(0.0, knots[-1], count))


def along_x(solid: Manifold) -> Manifold:
    """The solid turned so that its z axis lies along x."""
    return solid.rotate((0.0, 90.0, 0.0))


def along_y(solid: Manifold) -> Manifold:
    """The solid turned so that its z axis lies along y."""
    return solid.rotate((-90.0, 0.0, 0.0))


def mirrored(solid: Manifold) -> Manifold:
    """The solid and its mirror image across y = 0."""
    return solid + solid.mirror((0.0, 1.0, 0.0))


def _cap(ring: np.ndarray) -> np.ndarray:
    """(K - 2, 3) triangles of a planar ring (K, 3), in the ring's own sense."""
    normal = np.cross(ring, np.roll(ring, -1, axis=0)).sum(axis=0)  # Newell's
    normal /= np.linalg.norm(normal)
    across = np.cross(normal, _X if abs(normal[0]) < 0.8 else _Y)
    across /= np.linalg.norm(across)
    plane = np.stack([across, np.cross(normal, across)], axis=1)
    return np.asarray(triangulate([ring @ plane]), dtype=np.int64)
