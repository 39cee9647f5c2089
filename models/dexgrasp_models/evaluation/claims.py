"""What UniDexGrasp's tables say, as claims about a summary: does the paper's order hold?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

Means = Mapping[str, Mapping[str, float | None]]
"""The mean of each figure of each row, by their names."""


class Claim(NamedTuple):
    """A claim, and the figures that it is judged by."""

    claim: str
    figures: str
    holds: bool


def paper_claims(means: Means) -> list[Claim]:
    """The claims that can be judged by what there is.

    Args:
        means: of one group of scenes, or of all.
    """

    def mean(row: str, figure: str) -> float | None:
        return means.get(row, {}).get(figure)

    found: list[Claim] = []

    def add(claim: str, holds: Any, *figures: float | None) -> None:
        if all(value is not None for value in figures):
            told = " against ".join(f"{value:.4g}" for value in figures)
            found.append(Claim(claim, told, bool(holds(*figures))))

    ours, others = mean("full", "q1"), [mean(row, "q1") for row in _COMPARED]
    known = [value for value in others if value is not None]
    add(
        "Q1 highest, or within 5 % of the highest (Table 1)",
        lambda own, best: own >= 0.95 * best and own > 0,
        ours,
        max(known) if known else None,
    )
    add(
        "sigma_R over 100 degrees (Table 1)",
        lambda value: value > 100,
        _degrees(mean("full", "sigma_rotation")),
    )
    for row, name in (("ddg", "DDG"), ("grasptta", "GraspTTA")):
        add(
            f"sigma_R of {name} at most 5 degrees (Table 1)",
            lambda value: value <= 5,
            _degrees(mean(row, "sigma_rotation")),
        )
    spread = "sigma_translation_given_rotation"
    add(
        "sigma_T|R at least 5 times that of R + C + T, m (Table 1)",
        lambda own, collapsed: own >= 5 * collapsed,
        mean("full", spread),
        mean("r_c_t", spread),
    )
    for row, name in (("relie", "ReLie"), ("prohmr", "ProHMR")):
        add(
            f"log-likelihood above that of {name}, nats (Table 9)",
            lambda own, other: own > other,
            mean("full", "log_likelihood"),
            mean(row, "log_likelihood"),
        )
    add(
        "without TTA Q1 collapses to a tenth or less (Table 2)",
        lambda own, raw: raw <= 0.1 * own and own > 0,
        ours,
        mean("without_tta", "q1"),
    )
    return found


_COMPARED = ("grasptta", "ddg", "r_c_t", "relie", "prohmr")
"""The rows of Table 1 that ours is compared with."""


def _degrees(angle: float | None) -> float | None:
    return None if angle is None else float(np.rad2deg(angle))
