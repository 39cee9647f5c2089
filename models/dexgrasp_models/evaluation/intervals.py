"""How well a rate is known."""

from __future__ import annotations

from typing import NamedTuple

from scipy.special import ndtri

LEVEL = 0.95
"""Of all intervals."""


class Interval(NamedTuple):
    """Both ends."""

    low: float
    high: float


def wilson(rate: float, count: int) -> Interval:
    """Wilson's 95 % interval of a rate (Wilson, JASA 1927; score interval).

    SciPy has it for whole numbers of successes only. Here the successes may be shares, as where
    some of a scene's grasps are lifted: the scene then counts as one trial, and the interval is at
    least as wide as what scenes that differ from each other allow to know.

    Args:
        rate: mean of `count` values between 0 and 1.
        count: at least 1.

    Raises:
        ValueError: it is no rate, or of nothing.
    """
    if not 0 <= rate <= 1 or count < 1:
        raise ValueError(f"a rate of {rate} of {count}: expected 0 to 1, of at least one")
    z = float(ndtri(0.5 + LEVEL / 2))
    centre = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * (rate * (1 - rate) / count + (z / (2 * count)) ** 2) ** 0.5
    return Interval(max(0.0, centre - half), min(1.0, centre + half))
