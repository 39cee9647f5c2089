"""The minimum-jerk profile of a motion from rest to rest (Flash and Hogan, J. Neurosci. 1985)."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

Number = TypeVar("Number", float, np.ndarray)


def share_covered(share_of_time: Number) -> Number:
    """Share of the way covered after a share of the time in [0, 1], by the quintic's three terms.

    Speed and acceleration are zero at both ends, the greatest speed is 15/8 of the mean.
    """
    u = share_of_time
    return u**3 * (10.0 + u * (-15.0 + 6.0 * u))
