"""The table's plane as one camera sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_BAND = 0.015
"""Pixels within this height (m) of the configured table take part in the fit."""
_MIN_PIXELS = 300
_MAX_TILT = 0.05
_NOISE_FACTOR = 4.0
_ONE_FACTOR = 1.3
"""Greatest quotient of the quartiles of factors that are all the same but for objects."""


@dataclass(frozen=True)
class TablePlane:
    """z = offset + slope_x x + slope_y y in ``world``, with the spread of its pixels (m)."""

    offset: float
    slope_x: float = 0.0
    slope_y: float = 0.0
    spread: float = 0.0

    def margin(self, low: float, high: float) -> float:
        """Height over the plane (m) up to which points are table, between ``low`` and ``high``."""
        return min(max(low, _NOISE_FACTOR * self.spread), max(low, high))


def fit_table(points: np.ndarray, height: float) -> TablePlane:
    """Least-squares plane through the points (3, N) near z = ``height``, trimmed to its noise.

    The plane z = ``height`` itself where too little of the table is seen, or the fit tilts more
    than an error of calibration can.
    """
    configured = TablePlane(height)
    points = points[:, np.abs(points[2] - height) < _BAND].astype(np.float64)
    for _ in range(3):
        if points.shape[1] < _MIN_PIXELS:
            return configured
        design = np.stack([np.ones(points.shape[1]), points[0], points[1]])
        moment = design @ design.T
        if np.linalg.cond(moment) > 1e8:
            return configured
        plane = np.linalg.solve(moment, design @ points[2])
        residual = np.abs(points[2] - plane @ design)
        # the median ignores what else is in the band, such as the foot of an object
        spread = 1.4826 * float(np.median(residual))
        points = points[:, residual < max(3.0 * spread, 1e-4)]
    offset, slope_x, slope_y = (float(value) for value in plane)
    if max(abs(slope_x), abs(slope_y)) > _MAX_TILT:
        return configured
    return TablePlane(offset, slope_x, slope_y, spread)


def distance_factor(
    points: np.ndarray,
    origin: np.ndarray,
    height: float,
    low: Sequence[float],
    high: Sequence[float],
) -> float | None:
    """By what the distances of a camera's points have to be multiplied to lie on the table.

    Args:
        points: (3, N) as the camera measures them, m, world.
        origin: (3,) of the camera.
        height: of the table, m.
        low, high: (3,) corners of the box in which there is a table.

    Returns:
        One factor for most of the points, about 1 where distances are right; None where there is
        no such factor, as where an object hides the table.
    """
    rays = points - np.asarray(origin, dtype=np.float32)[:, None]
    down = rays[2] < -1e-6
    factors = (height - origin[2]) / rays[2][down]
    x, y = (origin[axis] + factors * rays[axis][down] for axis in (0, 1))
    on_table = (factors > 0) & (x > low[0]) & (x < high[0]) & (y > low[1]) & (y < high[1])
    factors = factors[on_table]
    if len(factors) < _MIN_PIXELS:
        return None
    quarter, middle, three_quarters = np.percentile(factors, [25, 50, 75])
    return float(middle) if three_quarters < _ONE_FACTOR * quarter else None
