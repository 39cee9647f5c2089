"""The cross-entropy method, for many searches side by side (Rubinstein and Kroese, 2004).

A normal distribution for each search: draw from it, keep the samples that score best, and fit it
to these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dexgrasp_models.parameters import Parameters, parameter

Score = Callable[[np.ndarray], np.ndarray]
"""(N, S) of samples (N, S, D), the higher the better; NaN is worse than all."""


@dataclass(frozen=True)
class CrossEntropyConfig(Parameters):
    """How it is searched."""

    samples: int = parameter(16, 2, 100_000, "", "drawn and tried in each iteration")
    elites: int = parameter(4, 1, 100_000, "", "of them, the best, that are learned from")
    iterations: int = parameter(3, 1, 1000, "", "of drawing and learning")
    kept: float = parameter(
        0.2, 0.0, 1.0, "", "share of mean and deviation that an iteration leaves as they were"
    )
    least_deviation: float = parameter(
        0.02, 0.0, 1.0, "", "below which none falls that isn't 0 at first"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.elites > self.samples:
            raise ValueError(f"{self.elites} elites of {self.samples} samples: take fewer")


class Belief(NamedTuple):
    """Where N searches expect the best, independently in each of D numbers."""

    mean: np.ndarray
    """(N, D)."""
    deviation: np.ndarray
    """(N, D); a number whose deviation is 0 stays as it is."""


class Searched(NamedTuple):
    """What N searches found."""

    belief: Belief
    best: np.ndarray
    """(N, D) of all that was tried."""
    scores: np.ndarray
    """(N,) of these."""


def searched(
    belief: Belief, score: Score, config: CrossEntropyConfig, rng: np.random.Generator
) -> Searched:
    """Search in (-1, 1). The mean itself is among the samples of each iteration.

    Args:
        belief: to begin with.
        score: is asked once in each iteration.
        config: how.
        rng: draws.
    """
    best = belief.mean.copy()
    scores = np.full(len(best), -np.inf)
    for _ in range(config.iterations):
        tried = drawn(belief, config.samples, rng)
        found = score(tried)
        values = np.where(np.isnan(found), -np.inf, found)
        belief = fitted(belief, tried, values, config)
        top = np.argmax(values, axis=1)
        rows = np.arange(len(top))
        better = values[rows, top] > scores
        best[better] = tried[rows, top][better]
        scores[better] = values[rows, top][better]
    return Searched(belief, best, scores)


def drawn(belief: Belief, samples: int, rng: np.random.Generator) -> np.ndarray:
    """(N, S, D) in [-1, 1], of which the first is the mean."""
    count, size = belief.mean.shape
    noise = rng.normal(size=(count, samples, size))
    noise[:, 0] = 0.0
    return np.clip(belief.mean[:, None] + belief.deviation[:, None] * noise, -1.0, 1.0)


def fitted(
    belief: Belief, tried: np.ndarray, scores: np.ndarray, config: CrossEntropyConfig
) -> Belief:
    """What is believed once (N, S, D) samples were tried, with (N, S) scores.

    Of samples that score alike those count that were drawn first.
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, : config.elites]
    elites = np.take_along_axis(tried, order[:, :, None], axis=1)
    mean = config.kept * belief.mean + (1.0 - config.kept) * elites.mean(axis=1)
    deviation = config.kept * belief.deviation + (1.0 - config.kept) * elites.std(axis=1)
    least = np.where(belief.deviation > 0.0, config.least_deviation, 0.0)
    return Belief(mean, np.where(belief.deviation > 0.0, np.maximum(deviation, least), 0.0))
