"""Wrist patterns that are generated, as the recordings of GraspGF (A.2) don't come along.

A reach is a sum of minimum-jerk movements (Flash and Henis, J. Cogn. Neurosci. 1991): one alone,
or one that stops for a while, or one that ends short of the grasp and is corrected. By default none
goes beyond the grasp, where there are the object and the table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dexgrasp_models.geometry.minimum_jerk import share_covered
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.tasks.wrist_patterns import SAMPLES, WristPatterns


@dataclass(frozen=True)
class PatternConfig(Parameters):
    """What generated reaches are like; what is between two numbers is equally likely."""

    paused: float = parameter(0.25, 0.0, 1.0, "", "share of the reaches that pause")
    pause: tuple[float, float] = parameter(
        (0.05, 0.2), 0.0, 0.5, "", "length of a pause, as a share of the movement's time"
    )
    corrected: float = parameter(0.4, 0.0, 1.0, "", "share of the reaches that are corrected")
    aimed: tuple[float, float] = parameter(
        (0.8, 1.0), 0.5, 1.5, "", "share of the way that a first movement makes, then corrected"
    )
    correction: tuple[float, float] = parameter(
        (0.65, 0.8), 0.3, 1.0, "", "share of the time at which a first movement ends"
    )
    arrived: tuple[float, float] = parameter(
        (0.8, 1.0), 0.3, 1.0, "", "share of the time at which others arrive, and rest from then on"
    )
    bow: tuple[float, float] = parameter(
        (0.0, 0.25), 0.0, 1.0, "", "greatest distance from the straight way, as a share of it"
    )
    turned: tuple[float, float] = parameter(
        (0.7, 1.0), 0.1, 1.0, "", "share of the time at which the wrist has turned"
    )
    turn_shape: float = parameter(2.0, 0.1, 100.0, "", "of the turns' gamma distribution")
    turn_scale: float = parameter(0.13, 0.0, 3.0, "rad", "of the turns' gamma distribution")


def generate(
    rng: np.random.Generator, count: int = 200, config: PatternConfig | None = None
) -> WristPatterns:
    """`count` patterns of reaches that start and end at rest.

    Bows go up or to a side, never down to the table; turns are of either direction about each axis.
    """
    config = config or PatternConfig()
    time = np.linspace(0.0, 1.0, SAMPLES)
    along = _along(time, rng, count, config)

    size, angle = rng.uniform(*config.bow, count), rng.uniform(0.0, np.pi, count)
    # A bow that leans to one of its ends; at most 1, and level at both.
    leaned = along.clip(0.0, 1.0) ** rng.uniform(0.7, 1.4, (count, 1))
    shape = 16.0 * leaned**2 * (1.0 - leaned) ** 2
    across = size[:, None] * np.stack((np.cos(angle), np.sin(angle)), axis=1)

    turning = _movement(time, np.zeros(count), rng.uniform(*config.turned, count))
    turns = rng.gamma(config.turn_shape, config.turn_scale, (count, 3))
    turns *= rng.choice((-1.0, 1.0), (count, 3))
    return WristPatterns(along, shape[:, :, None] * across[:, None, :], turning, turns)


def _along(
    time: np.ndarray, rng: np.random.Generator, count: int, config: PatternConfig
) -> np.ndarray:
    """(N, S) shares of the way: a movement in two parts, with or without a pause, and another."""
    corrected = rng.uniform(size=count) < config.corrected
    aimed = np.where(corrected, rng.uniform(*config.aimed, count), 1.0)
    ends = np.where(
        corrected, rng.uniform(*config.correction, count), rng.uniform(*config.arrived, count)
    )
    pause = rng.uniform(*config.pause, count)
    before = rng.uniform(0.3, 0.7, count)  # of the first movement's way, and of its time
    overlap = rng.uniform(0.1, 0.3, count)  # of the first movement's time, with the correction
    paused = rng.uniform(size=count) < config.paused

    moving = ends * (1.0 - pause)
    stops, goes_on = before * moving, before * moving + pause * ends
    whole = _movement(time, np.zeros(count), ends)
    halves = before[:, None] * _movement(time, np.zeros(count), stops)
    halves += (1.0 - before[:, None]) * _movement(time, goes_on, ends)
    first = np.where(paused[:, None], halves, whole)
    second = _movement(time, np.where(corrected, ends * (1.0 - overlap), 0.0), np.ones(count))
    along = aimed[:, None] * first + (1.0 - aimed[:, None]) * second
    return along / along[:, -1:]


def _movement(time: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(N, S) minimum-jerk shares at times (S,) of movements from begins (N,) to ends (N,)."""
    elapsed = (time - begins[:, None]) / (ends - begins)[:, None]
    return share_covered(elapsed.clip(0.0, 1.0))
