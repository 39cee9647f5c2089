"""Means of figures over scenes, with what chance may have made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import bootstrap

LOST = "lost_at"
"""Under this name a row's result has, for each single proposal, the stage at which it was lost."""

_LEVEL = 0.95
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
            confidence_level=_LEVEL,
            n_resamples=_RESAMPLES,
            method="percentile",
            rng=np.random.default_rng(seed),
        ).confidence_interval
        found |= {"low": float(interval.low), "high": float(interval.high)}
    return {**found, "scenes": len(samples)}


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
        For each row `figures` with a mean each, see `mean_with_interval`; `LOST`, how often single
        proposals were lost at each stage; and `problems`, why a row has no result and how often.
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
                name: mean_with_interval(
                    [figures[name] for figures in of_row if figures.get(name) is not None], seed
                )
                for name in names
            },
            LOST: dict(
                Counter(
                    stage for figures in of_row for stage in figures.get(LOST, ()) if stage
                ).most_common()
            ),
            "problems": dict(Counter(f["problem"] for f in of_row if "problem" in f).most_common()),
        }
    return found
