"""Means of figures over scenes, with what chance may have made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import bootstrap

from dexgrasp_models.evaluation.intervals import LEVEL, wilson

LOST, BEST_LOST = "lost_at", "best_lost_at"
"""Under these names a row's result has lists of the stages at which single proposals, and the best
one, were lost; an empty text for one that was lifted."""

RATES = ("lift_single", "lift_best", "kept_single", "kept_best")
"""Figures that are shares in each scene: of the single proposals that were lifted, and whether the
best one was; and both by the rule of earlier figures, `Lift.raised_and_kept`."""

_RESAMPLES = 2000


def mean_with_interval(values: Sequence[float], seed: int = 0) -> dict[str, float | int | None]:
    """The mean over scenes, and its 95 % interval by bootstrap: scenes drawn with replacement.

    Args:
        values: of each scene; all are finite.
        seed: of the resamples.

    Returns:
        mean, low, high and scenes, the number of values; None where there are too few.
    """
    samples = np.asarray(values, dtype=float)
    found: dict[str, float | int | None] = dict.fromkeys(("mean", "low", "high"))
    if len(samples):
        found["mean"] = float(samples.mean())
    if len(samples) > 1:
        interval = bootstrap(
            (samples,),
            np.mean,
            confidence_level=LEVEL,
            n_resamples=_RESAMPLES,
            method="percentile",
            rng=np.random.default_rng(seed),
        ).confidence_interval
        found |= {"low": float(interval.low), "high": float(interval.high)}
    return {**found, "scenes": len(samples)}


def rate_with_interval(values: Sequence[float]) -> dict[str, float | int | None]:
    """As `mean_with_interval` for values from 0 to 1, with Wilson's interval.

    It has a width also where all values are alike, and for a single scene.
    """
    found: dict[str, float | int | None] = dict.fromkeys(("mean", "low", "high"))
    if len(values):
        rate = float(np.mean(values))
        found = {"mean": rate, **wilson(rate, len(values))._asdict()}
    return {**found, "scenes": len(values)}


def summarise(
    results: Sequence[Mapping[str, Any]], rows: Sequence[str], seed: int = 0
) -> dict[str, dict[str, Any]]:
    """The means of each row's figures over the scenes that have them.

    Args:
        results: of each scene, the figures of each row by its name; what is None has none, and
            what is no number isn't averaged.
        rows: whose means are asked for.
        seed: of the intervals.

    Returns:
        For each row `figures` with a mean each, see `mean_with_interval` and, for `RATES`,
        `rate_with_interval`; `LOST` and `BEST_LOST`, how often lifts were lost at each stage; and
        `problems`, why it has no result and how often.
    """
    found = {}
    for row in rows:
        of_row = [result[row] for result in results if row in result]
        names = dict.fromkeys(
            name
            for figures in of_row
            for name, value in figures.items()
            if isinstance(value, float)
        )
        found[row] = {
            "figures": {
                name: _told(
                    name, [each[name] for each in of_row if each.get(name) is not None], seed
                )
                for name in names
            },
            **{
                name: _counts(stage for figures in of_row for stage in figures.get(name, ()))
                for name in (LOST, BEST_LOST)
            },
            "problems": _counts(figures.get("problem", "") for figures in of_row),
        }
    return found


def _told(name: str, values: Sequence[float], seed: int) -> dict[str, float | int | None]:
    return rate_with_interval(values) if name in RATES else mean_with_interval(values, seed)


def _counts(texts: Iterable[str]) -> dict[str, int]:
    """How often each text occurs, but for the empty one; the most frequent first."""
    return dict(Counter(text for text in texts if text).most_common())
