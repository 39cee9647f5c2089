"""What a scene consists of, as configuration; the same for every simulator."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Literal

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.arm.spec import load_arm
from dexgrasp_models.config import load_config
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.parameters import Parameters, choice, flag, parameter, text
from dexgrasp_sim.noise import NoiseConfig

BACKENDS = tuple(
    sorted(
        room.name
        for room in iter_modules([str(Path(__file__).with_name("backends"))])
        if room.ispkg
    )
)
"""The simulators there are: the rooms of `dexgrasp_sim.backends`."""

SceneKind = Literal["floating", "arm"]


@dataclass(frozen=True)
class SceneConfig(Parameters):
    """Simulator, table, robot, object placement, cameras and physics of a scene.

    Where the arm stands and waits is part of its mounting (`config/mounting.yaml`).

    Raises:
        ValueError: a value is out of range or not among the choices.
    """

    backend: str = choice("mujoco", BACKENDS, "simulator")
    scene: SceneKind = choice(
        "floating", ("floating", "arm"), "hand free in space, or mounted on the arm"
    )
    hand: Literal["coupled", "independent"] = choice(
        "coupled",
        ("coupled", "independent"),
        "J1 and J2 of the fingers on one tendon (18 actuators), or all 22 joints actuated",
    )
    cameras: str = text(
        "cameras/four_d415.yaml", "rig file, looked up in the configuration folders"
    )
    self_collision: bool = flag(True, "whether the hand's links touch each other")
    object_mass: float = parameter(0.1, 0.001, 5.0, "kg", "mass of the object")
    friction: float = parameter(1.0, 0.01, 3.0, "", "sliding friction of all contacts")
    object_position: tuple[float, float] = parameter(
        (0.0, 0.0), -1.5, 1.5, "m", "where the object rests, x and y in world"
    )
    placement_radius: float = parameter(
        0.02, 0.0, 0.2, "m", "the seed moves the object by up to this, and turns it by any yaw"
    )
    table_size: tuple[float, float] = parameter(
        (1.8, 1.2), 0.2, 5.0, "m", "sides of the table's top along x and y"
    )
    box: bool = flag(False, "whether the box into which objects are released stands on the table")
    home_position: tuple[float, float, float] = parameter(
        (-0.4, 0.0, 0.45), -2.0, 2.0, "m", "the free hand's first place: rh_palm in world"
    )
    home_rpy: tuple[float, float, float] = parameter(
        (np.pi / 2, 0.0, np.pi / 2), -np.pi, np.pi, "rad", "its first attitude, roll pitch yaw"
    )
    control_period: float = parameter(0.02, 0.005, 0.1, "s", "one control tick")
    timestep: float = parameter(0.005, 0.0005, 0.01, "s", "one step of the physics")
    noise: NoiseConfig = field(default_factory=NoiseConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        steps = self.control_period / self.timestep
        if abs(steps - round(steps)) > 1e-9:
            raise ValueError(
                f"control_period {self.control_period} s is no multiple of "
                f"timestep {self.timestep} s"
            )

    @property
    def steps_per_tick(self) -> int:
        """Physics steps in one control tick."""
        return round(self.control_period / self.timestep)

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The robot's J joints in the order of all arrays: the 22 of the fingers, and behind them
        the six of the arm where there is one."""
        arm = load_arm().joint_names if self.scene == "arm" else ()
        return (*load_hand().finger_joints, *arm)

    @property
    def home_pose(self) -> np.ndarray:
        """(4, 4) first pose of the free hand's `rh_palm` in `world`."""
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("xyz", self.home_rpy).as_matrix()
        pose[:3, 3] = self.home_position
        return pose


def load_scene(name: str = "scene.yaml", **overrides: Any) -> SceneConfig:
    """The scene in a configuration file, with some values replaced.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file or an override has an unknown name or a bad value.
    """
    config = SceneConfig.from_mapping(load_config(name))
    return dataclasses.replace(config, **overrides)
