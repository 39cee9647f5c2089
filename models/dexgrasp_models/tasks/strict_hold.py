"""The end of a strict episode, alike in all tasks: what was lifted is held while it is pushed."""

from __future__ import annotations

import math

import numpy as np

PUSH_DIRECTIONS = np.array(
    [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=float
)
"""(6, 3) in `world`, in the order in which the object is pushed, each for as long."""


def steps_of(seconds: float, rate: float) -> int:
    """Steps that last at least so long, and one at least."""
    # 1.1 s at 50 Hz are 55 steps, though the product is a little more.
    return max(1, math.ceil(seconds * rate - 1e-9))


def pushes_in_hold(since: np.ndarray, hold_steps: int, force: float) -> np.ndarray:
    """Forces on the objects' centres of mass: each direction has its turn, of equal length.

    Args:
        since: (N,) the step about to be made, counted from the first of the hold.
        hold_steps: of the hold; before and after it there is no push.
        force: N.

    Returns:
        (N, 3) N, in `world`.
    """
    turns = np.clip(since * len(PUSH_DIRECTIONS) // hold_steps, 0, len(PUSH_DIRECTIONS) - 1)
    held = (since >= 0) & (since < hold_steps)
    return np.where(held[:, None], force * PUSH_DIRECTIONS[turns], 0.0)
