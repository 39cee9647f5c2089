"""Whether the object left the table: by what the cameras see of it while it is held up, or, where
they see too little, by the grip.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.spatial import cKDTree

from dexgrasp_models.parameters import Parameters, flag, parameter

_RISE_STEP = 0.004
"""Metres from one rise that is tried to the next."""
_FARTHEST = 0.03
"""Metres beyond which a point counts as matched by nothing."""
_LOWEST_SHARE = 0.02
"""Part of the points seen that may lie lower, as stray ones, than what is taken for the lowest."""


class LiftedBy(StrEnum):
    """What a verdict rests on."""

    CAMERAS = "cameras"
    GRIP = "grip"


@dataclass(frozen=True)
class LiftCheckConfig(Parameters):
    """When an object counts as lifted."""

    cameras: bool = flag(True, "ask the cameras during the hold; else the grip alone tells")
    least_points: int = parameter(
        60, 10, 16384, "", "points of the object, held up, below which the cameras give no verdict"
    )
    least_rise: float = parameter(
        0.5, 0.1, 1.0, "", "part of the palm's rise that the object must have made with it"
    )
    least_clearance: float = parameter(
        0.02, 0.0, 0.2, "m", "its lowest point must be this much higher than it was"
    )
    least_grip: float = parameter(
        0.4, 0.0, 1.0, "", "part of the grip after the squeeze that the fingers must still have"
    )
    least_thumb: float = parameter(
        0.05,
        0.0,
        1.0,
        "rad",
        "the thumb's part of the grip, without which nothing is held",
    )
    most_closing: float = parameter(
        1.0, 0.05, 10.0, "rad", "sum of what the fingers may have moved since the squeeze"
    )


@dataclass(frozen=True)
class LiftVerdict:
    """Whether the object was lifted, and why."""

    lifted: bool
    by: LiftedBy
    reason: str
    """The numbers that decided."""


@dataclass
class Sight:
    """The cameras' answer, which is awaited while the object is held up.

    Who executes holds on until `pending` is False; who looks sets the verdict first.

    Attributes:
        pending: the answer has not come.
        due: the hold is over, and nothing but the answer is waited for.
        verdict: None where the cameras saw too little.
        remark: why there is no verdict.
    """

    pending: bool = True
    due: bool = False
    verdict: LiftVerdict | None = None
    remark: str = ""

    def conclude(self, verdict: LiftVerdict | None, remark: str = "") -> None:
        """Gives the answer; the first one stands."""
        if self.pending:
            self.verdict, self.remark = verdict, remark
            self.pending = False


def seen_lift(
    before: np.ndarray, held: np.ndarray, palm_rise: float, config: LiftCheckConfig
) -> LiftVerdict | None:
    """The cameras' verdict.

    The rise at which the object's points from before the grasp lie best on those that are seen now
    is how far it was raised. Turning in the hand spoils the fit, but hardly the rise.

    Args:
        before: (N, 3) points of the object on the table, in `world`, m.
        held: (M, 3) points of the object, or of what else stands out of the table, seen now,
            without the robot's own.
        palm_rise: how far the palm has risen since the fingers closed, m.
        config: what is asked for.

    Returns:
        None where too little is seen now to tell.
    """
    if len(held) < config.least_points:
        return None
    rise = _rise(np.asarray(before, float), np.asarray(held, float), palm_rise)
    lowest = float(np.quantile(held[:, 2], _LOWEST_SHARE) - before[:, 2].min())
    lifted = rise >= config.least_rise * palm_rise and lowest >= config.least_clearance
    return LiftVerdict(
        lifted,
        LiftedBy.CAMERAS,
        f"the cameras see it {rise:.3f} m higher, its lowest point {lowest:.3f} m,"
        f" where the palm rose {palm_rise:.3f} m",
    )


def felt_lift(
    grip: float, thumb: float, full_grip: float, closing: float, config: LiftCheckConfig
) -> LiftVerdict:
    """The verdict of the grip, for where the cameras give none.

    Args:
        grip: the least of the grip at the end of the lift and at the end of the hold, rad.
        thumb: the same of the thumb's part of it, rad.
        full_grip: the grip at the end of the squeeze, rad.
        closing: how far the fingers have moved since, summed over the actuators, rad.
        config: what is asked for.
    """
    lifted = (
        grip >= config.least_grip * full_grip
        and thumb >= config.least_thumb
        and closing <= config.most_closing
    )
    return LiftVerdict(
        lifted,
        LiftedBy.GRIP,
        f"the fingers' errors under the squeeze went from {full_grip:.2f} to {max(grip, 0.0):.2f}"
        f" rad, {max(thumb, 0.0):.2f} rad of it the thumb's, and they moved by {closing:.2f} rad",
    )


def _rise(before: np.ndarray, held: np.ndarray, palm_rise: float) -> float:
    tree = cKDTree(before)
    rises = np.arange(-5 * _RISE_STEP, palm_rise + 5.5 * _RISE_STEP, _RISE_STEP)
    lowered = held - rises[:, None, None] * np.array([0.0, 0.0, 1.0])
    distances, _ = tree.query(lowered.reshape(-1, 3), distance_upper_bound=_FARTHEST)
    misfit = np.minimum(distances, _FARTHEST).reshape(len(rises), -1).mean(axis=1)
    return float(rises[np.argmin(misfit)])
