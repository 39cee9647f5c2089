"""Angles as shares of their ranges, as policies see and give them."""

from __future__ import annotations

import numpy as np


def normalised(angles: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Angles (N, J) so that their limits (J, 2) are at -1 and 1."""
    low, high = limits.T
    return 2.0 * (angles - low) / (high - low) - 1.0


def angles_of(shares: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """The inverse of `normalised`."""
    low, high = limits.T
    return low + 0.5 * (shares + 1.0) * (high - low)
