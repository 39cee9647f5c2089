"""What every simulator offers: the physics of a scene, and snapshots for cameras to draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dexgrasp_models.control.types import Command, RobotState
from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.scene import SceneConfig


class SimulatorError(RuntimeError):
    """The simulated physics went wrong; only `reset` or `restore_state` goes on from there."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Where everything visible is at one moment; enough to draw the scene."""

    time: float
    joints: Mapping[str, float]
    """Robot joints by name, rad."""
    wrist_pose: np.ndarray
    """(4, 4) pose of `rh_palm` in `world`."""
    object_pose: np.ndarray
    """(4, 4) pose of the object's mesh frame in `world`."""
    seed: int = 0
    """Of the reset; the cameras' noise depends on it, and on the time."""

    def equals(self, other: Snapshot) -> bool:
        """Whether nothing differs, to the bit."""
        return (
            (self.time, self.seed) == (other.time, other.seed)
            and self.joints == other.joints
            and np.array_equal(self.wrist_pose, other.wrist_pose)
            and np.array_equal(self.object_pose, other.object_pose)
        )


class Physics(Protocol):
    """A table, one object and the hand (free or on the arm), which move.

    Time advances in control ticks only. The same seed and commands give the same states to the bit.
    Poses are (4, 4) in `world`. Nothing is seen here: cameras draw a `Snapshot`.
    """

    @property
    def config(self) -> SceneConfig:
        """What the scene was built from."""

    @property
    def object_model(self) -> ObjectModel:
        """The object on the table."""

    @property
    def time(self) -> float:
        """Seconds of simulated time since the last reset, to the nanosecond."""

    def reset(self, seed: int) -> None:
        """Back to time 0: the hand at its home pose, the object at rest where `draw_placement` puts
        it for `seed`."""

    def place_object(self, pose: np.ndarray) -> None:
        """Put the object at rest at a (4, 4) pose of its mesh frame."""

    def set_targets(self, command: Command) -> None:
        """The command followed from the next tick on."""

    def step(self, ticks: int = 1) -> None:
        """Advance by control ticks.

        Raises:
            SimulatorError: the physics has become unstable.
        """

    def state(self) -> RobotState:
        """What the robot's own sensors measure now."""

    def joint_positions(self) -> dict[str, float]:
        """All measured robot joints by name (rad): the fingers, and the arm where there is one."""

    def object_pose(self) -> np.ndarray:
        """(4, 4) true pose of the object's mesh frame."""

    def hand_contacts(self) -> dict[str, float]:
        """Normal force (N) on the object by the hand's link, for the links that touch it."""

    def snapshot(self) -> Snapshot:
        """Where everything visible is now."""

    def save_state(self) -> Any:
        """The whole state, for `restore_state` of the same simulator."""

    def restore_state(self, saved: Any) -> None:
        """Back to a saved state."""
