"""How Isaac Gym is run: `config/isaac_gym.yaml`."""

from __future__ import annotations

from dataclasses import dataclass, field

from dexgrasp_models.config import load_config
from dexgrasp_models.parameters import Parameters, choice, flag, parameter

INTERPRETER_VARIABLE = "DEXGRASP_ISAACGYM_PYTHON"
"""Environment variable that names the Python 3.8 in which Isaac Gym is installed."""


@dataclass(frozen=True)
class PhysxSettings(Parameters):
    """Settings of PhysX by Isaac Gym's names for them (`gymapi.PhysXParams`)."""

    solver_type: int = parameter(1, 0, 1, "", "0: PGS, 1: TGS")
    num_position_iterations: int = parameter(8, 1, 255, "", "of the solver, for positions")
    num_velocity_iterations: int = parameter(0, 0, 255, "", "of the solver, for velocities")
    contact_offset: float = parameter(
        0.002, 0.0, 0.1, "m", "shapes closer than the sum of theirs have contacts"
    )
    rest_offset: float = parameter(0.0, 0.0, 0.1, "m", "at which distance shapes rest")
    bounce_threshold_velocity: float = parameter(
        0.2, 0.0, 10.0, "m/s", "slower contacts do not bounce"
    )
    max_depenetration_velocity: float = parameter(
        1000.0, 0.01, 1e4, "m/s", "how fast penetrations are undone"
    )
    default_buffer_size_multiplier: float = parameter(
        5.0, 1.0, 100.0, "", "factor on the GPU's buffers"
    )
    num_threads: int = parameter(4, 0, 256, "", "of the processor")


@dataclass(frozen=True)
class IsaacGymSettings(Parameters):
    """What a scene's configuration does not say."""

    device: str = choice("auto", ("auto", "cpu", "cuda"), "where PhysX runs; auto: a GPU, if any")
    substeps: int = parameter(1, 1, 16, "", "of PhysX in each physics step of the scene")
    physx: PhysxSettings = field(default_factory=PhysxSettings)
    stop_stiffness: float = parameter(
        30.0, 0.0, 1000.0, "N m/rad", "of the stop that keeps J1 <= J2 where fingers are coupled"
    )
    depth: bool = flag(False, "whether the worker can draw depth images of the scene's cameras")
    start_timeout: float = parameter(
        600.0, 1.0, 86400.0, "s", "how long the worker may take to build its worlds"
    )
    step_timeout: float = parameter(
        120.0, 0.1, 86400.0, "s", "how long it may take for a control tick"
    )


def load_settings(name: str = "isaac_gym.yaml") -> IsaacGymSettings:
    """The settings in a configuration file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has an unknown name or a value out of range.
    """
    return IsaacGymSettings.from_mapping(load_config(name))
