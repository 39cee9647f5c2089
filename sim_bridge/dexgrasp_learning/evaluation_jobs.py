"""Which goals an evaluation's jobs have, and what is kept of how their episodes ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.evaluation.assist_summary import GOALS_OF_AN_OBJECT, RULES

OBJECTS_OF_A_JOB = 4
"""Their scenes are compiled once for all rows; and of one object alone no control can be made."""


def goals_of_jobs(
    goals: Grasps, objects: Sequence[str], episodes: int, seed: int
) -> list[tuple[int, ...]]:
    """Goals over a group's objects: each with five, before any object comes again (GraspGF, A.3).

    The first jobs are the same however many episodes are asked for.

    Args:
        goals: to choose from.
        objects: of the group; those without goals are left out.
        episodes: that are asked for at least, in whole jobs.
        seed: of the order.

    Returns:
        Rows of the goals, of each job.

    Raises:
        ValueError: there are goals of none of the objects, or of too few for a job.
    """
    rows = {name: _rows_of(goals, name) for name in objects}
    known = [name for name in objects if len(rows[name])]
    if len(known) < 2:
        raise ValueError(f"there are goals of {len(known)} of these {len(objects)} objects only")
    order = np.random.default_rng(seed).permutation(len(known))
    jobs: list[tuple[int, ...]] = []
    drawn = 0
    while drawn < episodes:
        first = len(jobs) * OBJECTS_OF_A_JOB
        chosen = [known[order[(first + k) % len(known)]] for k in range(OBJECTS_OF_A_JOB)]
        taken = tuple(int(row) for name in dict.fromkeys(chosen) for row in rows[name])
        jobs.append(taken)
        drawn += len(taken)
    return jobs


def _rows_of(goals: Grasps, name: str) -> np.ndarray:
    """Of one object, at most five: of its first scale and table that has so many."""
    if name not in goals.names:
        return np.zeros(0, dtype=int)
    return np.flatnonzero(goals.objects == goals.names.index(name))[:GOALS_OF_AN_OBJECT]


def episode_figures(ended: Any, measures: Sequence[str]) -> list[dict[str, float | bool | None]]:
    """Of each episode, for JSON: what was measured of unstable physics is None.

    Args:
        ended: results with `RULES`, and (N,) of each measure.
        measures: their names.
    """
    columns: dict[str, Sequence[Any]] = {}
    for name in RULES:
        verdicts = getattr(ended, name)
        columns[name] = [None] * len(ended.paper) if verdicts is None else verdicts.tolist()
    for name in measures:
        columns[name] = [
            value if np.isfinite(value) else None for value in getattr(ended, name).tolist()
        ]
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def others_of(names: Sequence[str]) -> np.ndarray:
    """(N,) for each episode another, of another object.

    Args:
        names: (N,) of their objects.

    Raises:
        ValueError: there is none for some.
    """
    of = np.array(names)
    for shift in range(1, len(of)):
        others = (np.arange(len(of)) + shift) % len(of)
        if (of != of[others]).all():
            return others
    raise ValueError(f"{len(of)} episodes of {of[0]} and others can't be paired by object")
