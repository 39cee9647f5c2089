"""What a simulator offers for trials of grasps: hands with still palms, an object in each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from dexgrasp_models.objects import ObjectModel


@dataclass(frozen=True, eq=False)
class TrialScene:
    """What all trials of a simulator have alike."""

    object_models: Sequence[ObjectModel]
    """Those around which grasps are tried, each once."""
    drive: Literal["coupled", "independent"]
    """J1 and J2 of the fingers on one tendon, or 22 actuators."""
    self_collision: bool
    """Whether the hand's links touch each other."""
    mass: float
    """Of the object, kg."""
    friction: float
    """Sliding, of all contacts."""
    timestep: float
    """Of the physics, s."""


class Closeness(NamedTuple):
    """Where a hand is near the object: of each of K links, where it is nearest."""

    distances: np.ndarray
    """(K,) m, negative inside."""
    points: np.ndarray
    """(K, 3) m."""
    normals: np.ndarray
    """(K, 3) outward of the object."""
    jacobians: Sequence[np.ndarray]
    """K of (3, 22): how the points move with the links, m/rad."""
    centre: np.ndarray
    """(3,) of the object's mass, m."""
    self_depth: float
    """The hand's deepest contact with itself, m."""


class Contacts(NamedTuple):
    """What touches in a trial."""

    hand: np.ndarray
    """(C,) distances of the contacts between hand and object, m, negative inside."""
    table_depth: float
    """The hand's deepest contact with the table, m."""


class TrialPhysics(Protocol):
    """Trials side by side: in each a palm stands still at the origin, and the rest moves.

    Gravity is turned, and the table drops away from under the object. So one model serves every
    grasp of an object; trials may be of different ones. Points and poses are in the palm's frame,
    `rh_palm`. Trials are meant by their numbers; those that aren't named in `step` stay as they
    are.
    """

    @property
    def count(self) -> int:
        """How many trials there is room for."""

    @property
    def unstable(self) -> Collection[int]:
        """Those whose physics became unstable; `place` and `restore` go on from there."""

    def place(
        self, objects: np.ndarray, object_poses: np.ndarray, joints: np.ndarray, margin: float
    ) -> Sequence[Closeness]:
        """Begin the first n trials: all at rest, without gravity and table.

        Args:
            objects: (n,) which of the scene's each is of.
            object_poses: (n, 4, 4) of the objects' mesh frames.
            joints: (n, 22) rad.
            margin: links nearer than this, m, are near the object.
        """

    def set_drives(self, targets: np.ndarray) -> None:
        """(n, D) targets of the drives, rad: of `HandSpec.actuators`, or of its finger joints."""

    def set_gravity(self, accelerations: np.ndarray) -> None:
        """(n, 3) m/s^2."""

    def set_tables(self, planes: np.ndarray | None) -> None:
        """Put the tables' tops where (n, 4) planes say, n.x = d; None takes them away."""

    def step(self, trials: Sequence[int], duration: float, lowering: float = 0.0) -> None:
        """Advance by some seconds, while tables drop away along their normals by `lowering` m."""

    def object_poses(self) -> np.ndarray:
        """(n, 4, 4) of the objects' mesh frames."""

    def contacts(self, trials: Sequence[int]) -> Sequence[Contacts]:
        """What touches now."""

    def save(self) -> Any:
        """The whole state of all trials but gravity, for `restore`."""

    def restore(self, saved: Any) -> None:
        """Put all trials back to a saved state."""
