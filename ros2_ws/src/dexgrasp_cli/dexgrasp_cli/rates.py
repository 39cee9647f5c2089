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
