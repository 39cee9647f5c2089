"""Simulators, a room for each, and the choice among them."""

from __future__ import annotations

from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.cameras.depth_cameras import DepthCameras
from dexgrasp_sim.interface import Physics
from dexgrasp_sim.scene import SceneConfig
from dexgrasp_sim.simulator import Simulator


def make_simulator(config: SceneConfig, object_model: ObjectModel) -> Simulator:
    """Physics and cameras of a scene; `reset` it before use.

    Raises:
        ImportError: what the simulator needs is not installed.
        FileNotFoundError: the cameras' rig is not there.
        RigError: the rig can't be used.
    """
    return Simulator(make_physics(config, object_model), DepthCameras(config, object_model))


def make_physics(config: SceneConfig, object_model: ObjectModel) -> Physics:
    """The physics that a configuration asks for (`SceneConfig.backend`); `reset` it before use.

    Raises:
        ImportError: what the simulator needs is not installed.
    """
    # Only the simulator that is asked for is imported.
    from dexgrasp_sim.backends.mujoco.mujoco_sim import MujocoPhysics

    return MujocoPhysics(config, object_model)
