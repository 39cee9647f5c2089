"""What every simulator offers, and how one is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dexgrasp_models.control.types import Command, RobotState
from dexgrasp_models.objects import ObjectModel
from dexgrasp_models.perception.cameras import CameraModel
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


class Simulator(Protocol):
    """A table, one object, the hand (free or on the arm) and depth cameras.

    Time advances in control ticks only. The same seed and commands give the same states and images
    to the bit. Poses are (4, 4) in `world`.
    """

    @property
    def config(self) -> SceneConfig:
        """What the scene was built from."""

    @property
    def object_model(self) -> ObjectModel:
        """The object on the table."""

    @property
    def cameras(self) -> Mapping[str, CameraModel]:
        """The depth cameras by name."""

    @property
    def time(self) -> float:
        """Seconds of simulated time since the last reset."""

    def reset(self, seed: int) -> None:
        """Back to time 0: the hand at its home pose, the object at rest where `seed` puts it."""

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

    def read_depth(self, camera: str) -> np.ndarray:
        """(H, W) uint16 depth along the optical axis in the camera's `depth_unit`, 0 where nothing
        was measured."""

    def read_color(self, camera: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""

    def snapshot(self) -> Snapshot:
        """Where everything visible is now."""

    def show(self, snapshot: Snapshot) -> None:
        """Put everything where a snapshot has it, to be looked at; `reset` before going on."""

    def save_state(self) -> Any:
        """The whole state, for `restore_state` of the same simulator."""

    def restore_state(self, saved: Any) -> None:
        """Back to a saved state."""
