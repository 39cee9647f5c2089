"""Farthest-point sampling: few points spread evenly over a cloud.

For batches of clouds, on any device, there is `farthest_point_batches`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def lowest(points: np.ndarray) -> int:
    """Index of the lowest of points (N, 3)."""
    return int(points[:, 2].argmin())


def outermost(points: np.ndarray) -> int:
    """Index of the point of (N, 3) that is the farthest from the origin."""
    return int((points.T**2).sum(axis=0).argmax())


def farthest_points(
    points: np.ndarray, count: int, first: Callable[[np.ndarray], int] = lowest
) -> np.ndarray:
    """Indices of ``count`` of the points, each the farthest from all before it.

    They come in such an order that the first ones are spread as well. Distances are computed in the
    precision of the points.

    Args:
        points: (N, 3).
        count: number wanted; all points, in their order, if there are no more.
        first: gives the index of the one to begin with.

    Returns:
        (count,) int64.
    """
    if len(points) <= count:
        return np.arange(len(points))
    columns = np.ascontiguousarray(points.T)
    index = first(points)
    nearest = np.full(len(points), np.inf, dtype=columns.dtype)
    squares = np.empty_like(columns)
    chosen = np.empty(count, dtype=np.int64)
    for position in range(count):
        chosen[position] = index
        np.subtract(columns, columns[:, index, None], out=squares)
        np.multiply(squares, squares, out=squares)
        np.add(squares[0], squares[1], out=squares[0])
        np.add(squares[0], squares[2], out=squares[0])
        np.minimum(nearest, squares[0], out=nearest)
        index = int(nearest.argmax())
    return chosen
