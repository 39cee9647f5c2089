"""Figures of the human-assisting task over episodes: GraspGF's Figure 4 and Tables 1, 3 and 6.

Episodes of one object are alike, so an object counts as one trial: its episodes' mean is its
value, and intervals are those of means over objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dexgrasp_models.evaluation.summary import mean_with_interval, rate_with_interval

RULES = ("paper", "latched", "strict")
"""Rules of success, see `dexgrasp_models.tasks.assist_success`."""
MEASURES = ("posture", "translation", "rotation")
"""Posture (rad, 4.2) and stability (m and 1 - cosine, Table 1)."""
GOALS_OF_AN_OBJECT = 5
"""In Table 3."""

Figures = Mapping[str, float | bool | None]
"""Of one episode, by the names in `RULES` and `MEASURES`; None where there is none."""


def summarise_assist(
    objects: Sequence[str],
    rows: Mapping[str, Sequence[Figures]],
    seed: int = 0,
    measures: Sequence[str] = MEASURES,
) -> dict[str, dict[str, Any]]:
    """What each row's episodes come to.

    Args:
        objects: of each of N episodes.
        rows: N figures of each row by its name, of the same episodes; the first row is compared
            with the others.
        seed: of the bootstrap.
        measures: names of figures that are no verdicts.

    Returns:
        For each row, by name: `episodes`; each of `RULES`, see `rate_with_interval`, and of
        `measures`, see `mean_with_interval`, without those that no episode has; `adaptability`,
        the shares of objects with 0 to 5 of 5 goals grasped (Table 3), of those that have 5; and
        `behind_first`, by how much its success by the paper's rule is behind the first row's.

    Raises:
        ValueError: a row has other than N episodes.
    """
    first = None
    found = {}
    for name, figures in rows.items():
        if len(figures) != len(objects):
            raise ValueError(f"{name} has {len(figures)} of {len(objects)} episodes")
        successes = _by_object(objects, figures, "paper")
        first = first or successes
        behind = [
            float(np.mean(first[item]) - np.mean(successes[item]))
            for item in first
            if item in successes
        ]
        found[name] = {
            "episodes": len(figures),
            **_told(objects, figures, seed, measures),
            "adaptability": _adaptability(successes),
            "behind_first": mean_with_interval(behind, seed),
        }
    return found


def _told(
    objects: Sequence[str], figures: Sequence[Figures], seed: int, measures: Sequence[str]
) -> dict[str, Any]:
    told = {}
    for name in (*RULES, *measures):
        means = [float(np.mean(values)) for values in _by_object(objects, figures, name).values()]
        if means and name in RULES:
            told[name] = rate_with_interval(means)
        elif means:
            told[name] = mean_with_interval(means, seed)
    return told


def _by_object(
    objects: Sequence[str], figures: Sequence[Figures], name: str
) -> dict[str, list[float]]:
    """Values of the episodes that have them."""
    found: dict[str, list[float]] = {}
    for item, figure in zip(objects, figures, strict=True):
        if (value := figure.get(name)) is not None:
            found.setdefault(item, []).append(float(value))
    return found


def _adaptability(successes: Mapping[str, Sequence[float]]) -> dict[str, float]:
    counts = [
        int(sum(values)) for values in successes.values() if len(values) == GOALS_OF_AN_OBJECT
    ]
    return {
        str(grasped): counts.count(grasped) / len(counts)
        for grasped in range(GOALS_OF_AN_OBJECT + 1)
        if counts
    }
