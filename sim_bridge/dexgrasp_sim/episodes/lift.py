"""Whether a grasp lifted the object, by the simulator's true poses at every tick."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dexgrasp_models.control.types import Phase
from dexgrasp_models.metrics.grasp_execution import LIFTED_HEIGHT
from dexgrasp_models.objects import ObjectModel

CLEARANCE = 0.005
"""Metres above the table that the object's lowest point must have in order to be off it."""
SLIP_LIMIT = 0.05
"""Metres that the object may move in the palm's frame from before the lift to the hold's end."""
KNOCK_DISTANCE = 0.02
"""Metres that the object may move before the fingers close; beyond, it counts as knocked."""


@dataclass(frozen=True)
class Lift:
    """What came of a grasp; lengths in metres, measured on the simulator's true poses."""

    success: bool
    """At every tick of the hold the object was raised by `LIFTED_HEIGHT` and off the table, and at
    none from before the lift on it had moved in the palm by more than `SLIP_LIMIT`."""
    lost_at: str
    """Stage at which the object was lost, ``""`` for a success."""
    reason: str
    raised: float = 0.0
    """How far the object was raised at the end of the hold."""
    slip: float = 0.0
    """How far the object moved at most in the palm's frame from before the lift on."""
    knocked: float = 0.0
    """How far the object moved before the fingers closed."""
    clearance: float = 0.0
    """Of the object's lowest point above the table, the least during the hold."""
    raised_and_kept: bool = False
    """Success by the rule of earlier figures: raised by `LIFTED_HEIGHT` at the start of the hold
    and at its end, and moved in the palm by at most `SLIP_LIMIT` between those two instants."""


class LiftWatch:
    """Sees the object and the palm at every tick of a grasp, and judges at the end.

    Args:
        model: the object.
        start: (4, 4) its pose in `world` before anything moves.
    """

    def __init__(self, model: ObjectModel, start: np.ndarray) -> None:
        self._vertices = np.concatenate([piece.vertices for piece in model.pieces])
        self._start = start[:3, 3]
        self._position = self._start
        self._in_palm: np.ndarray | None = None
        """Where the object was in the palm before the lift."""
        self._slips: list[float] = []
        self._rises: list[float] = []
        """Of the hold, as the following."""
        self._clearances: list[float] = []
        self._knocked: float | None = None
        self._held_from_lift = True
        """Nothing was lost yet when the hold began."""

    def see(self, phase: Phase, object_pose: np.ndarray, palm_pose: np.ndarray) -> None:
        """One tick.

        Args:
            phase: of the controller.
            object_pose: (4, 4) in `world`.
            palm_pose: (4, 4) in `world`.
        """
        self._position = object_pose[:3, 3]
        if phase is Phase.CLOSE and self._knocked is None:
            self._knocked = float(np.linalg.norm(self._position - self._start))
        if phase not in (Phase.LIFT, Phase.HOLD):
            return
        in_palm = (np.linalg.inv(palm_pose) @ object_pose)[:3, 3]
        if self._in_palm is None:
            self._in_palm = in_palm
        self._slips.append(float(np.linalg.norm(in_palm - self._in_palm)))
        if phase is Phase.HOLD:
            self._rises.append(self._raised)
            lowest = (self._vertices @ object_pose[2, :3]).min() + object_pose[2, 3]
            self._clearances.append(float(lowest))
            if len(self._rises) == 1:
                self._held_from_lift = self._is_held()

    def judged(self, held_out: bool, stage: str, reason: str) -> Lift:
        """What came of it.

        Args:
            held_out: whether the hold was carried out to its end.
            stage: at which the controller ended.
            reason: what it said, of a grasp that failed.
        """
        success = held_out and self._is_held()
        if success:
            lost_at = ""
        elif (self._knocked or 0.0) > KNOCK_DISTANCE:
            lost_at = "approach"
        elif self._rises and self._held_from_lift:
            lost_at = "hold"
        else:
            lost_at = "lift" if self._slips else stage
        return Lift(
            success,
            lost_at,
            "" if success else reason,
            raised=self._raised,
            slip=max(self._slips, default=0.0),
            knocked=self._knocked or 0.0,
            clearance=min(self._clearances, default=0.0),
            raised_and_kept=held_out and self._was_raised_and_kept(),
        )

    @property
    def _raised(self) -> float:
        return float((self._position - self._start)[2])

    def _is_held(self) -> bool:
        """Whether nothing was lost at any tick up to now, some of them of the hold."""
        return (
            bool(self._rises)
            and min(self._rises) >= LIFTED_HEIGHT
            and min(self._clearances) >= CLEARANCE
            and max(self._slips) <= SLIP_LIMIT
        )

    def _was_raised_and_kept(self) -> bool:
        """Whether two instants, the hold's first and last, would let it pass."""
        ends = min(self._rises[0], self._rises[-1]) if self._rises else 0.0
        return ends >= LIFTED_HEIGHT and self._slips[-1] <= SLIP_LIMIT
