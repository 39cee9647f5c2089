"""A physics with cameras: all that a grasp in simulation needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dexgrasp_models.control.types import Command, RobotState
from dexgrasp_models.objects import ObjectModel
from dexgrasp_models.perception.cameras import CameraModel
from dexgrasp_sim.cameras.depth_cameras import DepthCameras
from dexgrasp_sim.interface import Physics, Snapshot
from dexgrasp_sim.scene import SceneConfig


class Simulator:
    """The physics of a scene and the depth cameras that look at it; see `Physics`, `DepthCameras`.

    The same seed and commands give the same states and images to the bit.

    Attributes:
        physics: moves the scene.
        depth_cameras: draw it.
    """

    def __init__(self, physics: Physics, depth_cameras: DepthCameras) -> None:
        self.physics = physics
        self.depth_cameras = depth_cameras

    @property
    def config(self) -> SceneConfig:
        """What the scene was built from."""
        return self.physics.config

    @property
    def object_model(self) -> ObjectModel:
        """The object on the table."""
        return self.physics.object_model

    @property
    def time(self) -> float:
        """Seconds of simulated time since the last reset."""
        return self.physics.time

    def reset(self, seed: int) -> None:
        """As `Physics.reset`."""
        self.physics.reset(seed)

    def place_object(self, pose: np.ndarray) -> None:
        """As `Physics.place_object`."""
        self.physics.place_object(pose)

    def set_targets(self, command: Command) -> None:
        """As `Physics.set_targets`."""
        self.physics.set_targets(command)

    def set_joint_targets(self, targets: np.ndarray) -> None:
        """As `Physics.set_joint_targets`."""
        self.physics.set_joint_targets(targets)

    def step(self, ticks: int = 1) -> None:
        """As `Physics.step`.

        Raises:
            SimulatorError: the physics has become unstable.
        """
        self.physics.step(ticks)

    def state(self) -> RobotState:
        """As `Physics.state`."""
        return self.physics.state()

    def joint_positions(self) -> dict[str, float]:
        """As `Physics.joint_positions`."""
        return self.physics.joint_positions()

    def joint_velocities(self) -> dict[str, float]:
        """As `Physics.joint_velocities`."""
        return self.physics.joint_velocities()

    def efforts(self) -> dict[str, float]:
        """As `Physics.efforts`."""
        return self.physics.efforts()

    def object_pose(self) -> np.ndarray:
        """As `Physics.object_pose`."""
        return self.physics.object_pose()

    def hand_contacts(self) -> dict[str, float]:
        """As `Physics.hand_contacts`."""
        return self.physics.hand_contacts()

    def snapshot(self) -> Snapshot:
        """As `Physics.snapshot`."""
        return self.physics.snapshot()

    def save_state(self) -> Any:
        """As `Physics.save_state`."""
        return self.physics.save_state()

    def restore_state(self, saved: Any) -> None:
        """As `Physics.restore_state`."""
        self.physics.restore_state(saved)

    @property
    def cameras(self) -> Mapping[str, CameraModel]:
        """The depth cameras by name."""
        return self.depth_cameras.cameras

    def read_depth(self, camera: str) -> np.ndarray:
        """What a camera measures now, as `DepthCameras.read_depth`."""
        return self.depth_cameras.read_depth(self.snapshot(), camera)

    def read_color(self, camera: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB, as `DepthCameras.read_color`."""
        return self.depth_cameras.read_color(self.snapshot(), camera)
