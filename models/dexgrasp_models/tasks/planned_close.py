"""A close without a policy: the hand opens with the thumb across, and then closes to a fist.

What stands in the fingers' way stops them, as their targets run ahead by a bounded lead only
(`GripWatch.bounded`). The postures are chosen by eye, so that the empty hand presses on nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_observation import AssistObservation, seen_angles

_FINGERS = ("FF", "MF", "RF", "LF")
_OPEN: Mapping[str, float] = {"rh_THJ4": 1.2}
"""rad in the hardware's sign, which counts flexion positive; the others stand at zero."""
_FIST: Mapping[str, float] = {
    **{f"rh_{finger}J3": 1.0 for finger in _FINGERS},
    **{f"rh_{finger}J0": 1.4 for finger in _FINGERS},
    "rh_THJ4": 1.2,
    "rh_THJ5": 0.3,
    "rh_THJ2": 0.3,
    "rh_THJ1": 0.5,
}
"""Not so far that the thumb meets a finger: their press on each other would pass for a grip."""


class OpenHand:
    """Opens the hand as far as a step of the task goes; an `AssistPolicy`.

    Args:
        hand: whose actuators these are.
        task: how far a step goes.
    """

    def __init__(self, hand: HandSpec, task: AssistConfig) -> None:
        self._hand, self._step = hand, task.max_change
        self._goal = _angles(hand, _OPEN)

    def begin(self, count: int) -> None:
        """There is nothing to forget."""

    def actions(self, seen: AssistObservation) -> np.ndarray:
        """(N, 18) in [-1, 1], towards the open hand."""
        targets = seen_angles(seen, self._hand) + seen.pressing
        return np.clip((self._goal - targets) / self._step, -1.0, 1.0)


def closed_by_plan(hand: HandSpec) -> Callable[[np.ndarray, float], np.ndarray]:
    """Gives (22,) finger targets, rad, on the straight way from where they begin to the fist."""
    fist = np.clip(hand.expansion @ _angles(hand, _FIST), *hand.limits.T)
    return lambda start, share: start + share * (fist - start)


def _angles(hand: HandSpec, posture: Mapping[str, float]) -> np.ndarray:
    """(18,) of the actuators in the papers' sign, rad."""
    signs = np.sign(hand.reduction @ hand.hardware_sign)
    return signs * np.array([posture.get(name, 0.0) for name in hand.actuators])
