"""Arrays with a row for each environment, checked where they come in."""

from __future__ import annotations

import numpy as np


def batch(name: str, values: np.ndarray, *shape: int | None) -> np.ndarray:
    """`values` as floats, where they have the shape and are finite.

    Args:
        name: of the array, for who reads the error.
        values: one row for each environment.
        shape: wanted; None for any length.

    Raises:
        ValueError: the shape does not fit, or a number isn't finite; names the environment.
    """
    array = np.asarray(values, dtype=float)
    fits = array.ndim == len(shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} has the shape {array.shape}, and ({wanted}) is needed")
    finite = np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    if not finite.all():
        raise ValueError(f"{name} of environment {np.argmin(finite)} is not finite")
    return array
