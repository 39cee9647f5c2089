"""Arrays that callers give, with a row for each environment."""

from __future__ import annotations

import numpy as np


def rows_of(name: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The values as floats.

    Raises:
        ValueError: they have another shape.
    """
    array = np.asarray(values, dtype=float)
    if array.shape != shape:
        raise ValueError(f"{name} have the shape {array.shape}, not {shape}")
    return array
