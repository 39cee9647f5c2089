"""Simulators, a room for each, and the choice among them."""

from __future__ import annotations

from dexgrasp_models.objects import ObjectModel
from dexgrasp_sim.interface import Simulator
from dexgrasp_sim.scene import SceneConfig

BACKENDS = ("mujoco",)


def make_simulator(
    config: SceneConfig, object_model: ObjectModel, backend: str = "mujoco"
) -> Simulator:
    """The simulator that a configuration asks for; call `reset` before use.

    Raises:
        ValueError: there is no such backend.
    """
    if backend == "mujoco":
        from dexgrasp_sim.backends.mujoco.mujoco_sim import MujocoSimulator

        return MujocoSimulator(config, object_model)
    raise ValueError(f"no simulator {backend!r}; there are {', '.join(BACKENDS)}")
