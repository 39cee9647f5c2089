"""How rates are printed: with their intervals, and where the rest is lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LYING = {
    "high": "standing or compact",
    "flat": "lying flat",
    "thin": "under 25 mm high",
}
"""What `episodes.resting.Lying` is called in tables."""


def rate_text(rate: float, low: float, high: float) -> str:
    """In percent, with both ends of its interval, which need not be symmetric."""
    return f"{rate:.0%} ({low:.0%} to {high:.0%})"


def lost_text(lost_at: Mapping[str, int]) -> str:
    """Stages, and how many were lost there."""
    return ", ".join(f"{stage} {count}" for stage, count in lost_at.items())


def rate_cells(counts: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Successes, attempts, rate and losses of what `bench_grasp.summarise` counts."""
    rate = rate_text(*(counts[name] for name in ("success_rate", "low", "high")))
    return (
        str(counts["successes"]),
        str(counts["attempts"]),
        rate,
        lost_text(counts["lost_at"]),
    )


def rate_cell(found: Mapping[str, Any] | None) -> str:
    """Of `rate_with_interval`; empty where there is none."""
    if found is None or found["mean"] is None:
        return ""
    return rate_text(found["mean"], found["low"], found["high"])


def mean_cell(found: Mapping[str, Any] | None, factor: float, unit: str = "") -> str:
    """Of `mean_with_interval`, times a factor, with half of the interval's width."""
    if found is None or found["mean"] is None:
        return ""
    text = f"{factor * found['mean']:.3g}"
    if found["low"] is not None:
        text += f" ± {factor * (found['high'] - found['low']) / 2:.2g}"
    return text + unit
