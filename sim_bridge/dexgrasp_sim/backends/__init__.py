"""Simulators, a room for each, and the choice among them."""

from __future__ import annotations

from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.interface import Simulator
from dexgrasp_sim.scene import SceneConfig


def make_simulator(config: SceneConfig, object_model: ObjectModel) -> Simulator:
    """The simulator that a configuration asks for (`SceneConfig.backend`); `reset` it before use.

    Raises:
        ImportError: what the simulator needs is not installed.
    """
    # Only the simulator that is asked for is imported.
    from dexgrasp_sim.backends.mujoco.mujoco_sim import MujocoSimulator

    return MujocoSimulator(config, object_model)
