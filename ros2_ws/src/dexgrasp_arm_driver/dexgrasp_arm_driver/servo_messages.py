"""What the node and its servo process say to each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# To the servo process


@dataclass(frozen=True)
class TakeControl:
    """Begin to servo, from where the arm is."""


@dataclass(frozen=True, eq=False)
class Target:
    """Go to a (4, 4) pose of the palm in `world`."""

    pose: np.ndarray


@dataclass(frozen=True)
class Hold:
    """Come to a standstill, and stand."""


@dataclass(frozen=True)
class Alive:
    """The node still runs its callbacks."""


@dataclass(frozen=True)
class End:
    """Come to a standstill, give the arm back and end."""


Order = TakeControl | Target | Hold | Alive | End

# From the servo process


@dataclass(frozen=True, eq=False)
class State:
    """What the controller measured, and what the servo makes of it.

    Attributes:
        timestamp: s, on the controller's clock.
        measured: s, monotonic, when that was, but for the shortest way here.
        age: s from then until it was passed on.
        joints: (6,) rad.
        speeds: (6,) rad/s.
        servoing: whether set-points are sent.
        trouble: why the arm can't be moved now, and what to do; empty if it can.
        held: what keeps the arm from its target; empty if nothing does.
    """

    timestamp: float
    measured: float
    age: float
    joints: np.ndarray
    speeds: np.ndarray
    servoing: bool
    trouble: str
    held: str


@dataclass(frozen=True)
class Ended:
    """The last word of a servo process: why it ends."""

    reason: str
