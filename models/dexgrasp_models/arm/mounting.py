"""Where the arm stands, and how the hand is mounted on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.config import load_config
from dexgrasp_models.parameters import Parameters, parameter


@dataclass(frozen=True)
class Mounting(Parameters):
    """Pose of the arm's base in `world`, of the hand's forearm on the flange, and a home."""

    base_position: tuple[float, float, float] = parameter(
        (-0.75, 0.0, 0.0), -3.0, 3.0, "m", "base_link in world"
    )
    base_rpy: tuple[float, float, float] = parameter(
        (0.0, 0.0, 0.0), -np.pi, np.pi, "rad", "attitude of base_link in world, roll pitch yaw"
    )
    forearm_position: tuple[float, float, float] = parameter(
        (0.0, 0.0, 0.0), -0.5, 0.5, "m", "rh_forearm in tool0"
    )
    forearm_rpy: tuple[float, float, float] = parameter(
        (0.0, 0.0, 0.0), -np.pi, np.pi, "rad", "attitude of rh_forearm in tool0, roll pitch yaw"
    )
    home: tuple[float, ...] = parameter(
        (-0.419, -1.962, 1.574, -1.182, -1.571, -1.99),
        -2 * np.pi,
        2 * np.pi,
        "rad",
        "the arm's joints at rest",
    )

    @cached_property
    def world_T_base(self) -> np.ndarray:
        """(4, 4) pose of `base_link` in `world`."""
        return _pose(self.base_position, self.base_rpy)

    @cached_property
    def tool_T_forearm(self) -> np.ndarray:
        """(4, 4) pose of `rh_forearm` in `tool0`."""
        return _pose(self.forearm_position, self.forearm_rpy)


def load_mounting(name: str = "mounting.yaml") -> Mounting:
    """The mounting in a configuration file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has an unknown name or a value out of range.
    """
    return Mounting.from_mapping(load_config(name))


def _pose(position: tuple[float, ...], rpy: tuple[float, ...]) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", rpy).as_matrix()
    pose[:3, 3] = position
    return pose
