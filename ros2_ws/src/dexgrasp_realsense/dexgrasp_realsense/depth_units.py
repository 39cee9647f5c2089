"""Depth in a camera's own unit to the millimetres of the topics."""

from __future__ import annotations

import functools

import numpy as np

_COUNTS = 1 << 16
_SAME = 1e-6
"""By which a unit may differ from a millimetre, relatively: devices tell it in single precision."""


def to_millimetres(counts: np.ndarray, unit: float) -> np.ndarray:
    """Depth in millimetres.

    Args:
        counts: (H, W) uint16, 0 where nothing was read.
        unit: metres that a count is; positive.

    Returns:
        (H, W) uint16, rounded; 0 where nothing was read, and where it is farther than fits into 16
        bits (65.535 m). The given array itself where its unit is a millimetre.
    """
    if abs(1e3 * unit - 1.0) < _SAME:
        return counts
    return _millimetres_of_counts(unit)[counts]


@functools.lru_cache(maxsize=8)
def _millimetres_of_counts(unit: float) -> np.ndarray:
    millimetres = np.rint(np.arange(_COUNTS) * (1e3 * unit))
    millimetres[millimetres >= _COUNTS] = 0
    return millimetres.astype(np.uint16)
