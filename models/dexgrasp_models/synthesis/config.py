"""Settings of grasp synthesis; `config/synthesis/` has them as named files."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from dexgrasp_models.config import load_config
from dexgrasp_models.parameters import Parameters, choice, flag, parameter
from dexgrasp_models.synthesis.energy_config import EnergyConfig


@dataclass(frozen=True)
class AnnealingConfig(Parameters):
    """Settings of the papers' synthesis; weights multiply sums over contacts, points and joints.

    UniDexGrasp (appendix A) gives the number of steps; the rest are the published settings of
    DexGraspNet for tables (github.com/PKU-EPIC/DexGraspNet, branch `table`).
    """

    steps: int = parameter(6000, 0, 1_000_000, "", "steps tried with each grasp")
    contacts: int = parameter(4, 1, 20, "", "contact points of a grasp")

    weight_distance: float = parameter(100.0, 0, 1e6, "1/m", "weight of E_dis")
    weight_penetration: float = parameter(100.0, 0, 1e6, "1/m", "weight of E_pen")
    weight_table: float = parameter(40.0, 0, 1e6, "1/m", "weight of E_tpen")
    weight_joints: float = parameter(1.0, 0, 1e6, "1/rad", "weight of E_joints")
    weight_self: float = parameter(10.0, 0, 1e6, "1/m", "weight of E_spen")
    self_distance: float = parameter(0.02, 0, 0.1, "m", "least distance of the hand's key points")

    step_size: float = parameter(0.005, 0, 1, "m or rad", "first step")
    step_period: int = parameter(50, 1, 1_000_000, "", "iterations after which steps shrink")
    temperature: float = parameter(18.0, 0, 1e6, "", "first temperature, in units of the energy")
    temperature_period: int = parameter(30, 1, 1_000_000, "", "iterations after which it cools")
    decay: float = parameter(0.95, 0, 1, "", "factor of both, each period")
    gradient_memory: float = parameter(0.98, 0, 1, "", "weight of the newest squared gradient")
    switching: float = parameter(0.5, 0, 1, "", "probability that a contact is drawn anew")

    inflation: float = parameter(0.2, 0, 1, "m", "growth of the hull about the object")
    standoff: tuple[float, float] = parameter((0.2, 0.3), 0, 1, "m", "palm's distance from it")
    cone: float = parameter(math.pi / 6, 0, math.pi, "rad", "largest tilt off the hull's normal")
    palm_tilt: float = parameter(math.pi / 3, 0, math.pi, "rad", "approach, from the fingers' axis")
    elevation: float = parameter(math.pi / 4, 0, math.pi, "rad", "hull's normal off the vertical")
    joint_jitter: float = parameter(0.1, 1e-6, 1, "", "deviation of joints over their range")

    nearest_points: int = parameter(
        128, 8, 4096, "", "object points, nearest to the hand, that are looked at between searches"
    )
    search_distance: float = parameter(
        0.02, 0, 1, "m", "sum of the steps after which the nearest points are searched anew"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.standoff[0] > self.standoff[1]:
            raise ValueError(f"standoff must be (least, largest), not {self.standoff}")


@dataclass(frozen=True)
class SynthesisConfig(Parameters):
    """How grasps of a scene are synthesised.

    Raises:
        ValueError: a value is out of range or not among the choices.
    """

    method: Literal["refinement", "annealing"] = choice(
        "refinement",
        ("refinement", "annealing"),
        "`refinement`: the analytic proposer's, on the object's whole surface; `annealing`: the "
        "papers' 6,000 steps with random contacts",
    )
    surface_samples: int = parameter(2048, 64, 65536, "", "points of the object's surface")
    coupled: bool = flag(
        True, "with J1 = J2 of the four fingers, as their common tendon moves them"
    )
    scenes_at_once: int = parameter(2, 1, 4096, "", "scenes that are optimised in one batch")
    energy: EnergyConfig = field(default_factory=EnergyConfig)
    """Energy and steps of the refinement. For both methods: `batch`, the number of grasps of each
    scene, and the points and balls of the object that repel the hand."""
    annealing: AnnealingConfig = field(default_factory=AnnealingConfig)
    """Energy and steps of the annealing."""


def load_synthesis(name: str = "fast") -> SynthesisConfig:
    """The settings of a file in `config/synthesis/`, or of any YAML file by its path.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has an unknown name or a bad value.
    """
    file = name if name.endswith((".yaml", ".yml")) else f"synthesis/{name}.yaml"
    return SynthesisConfig.from_mapping(load_config(file))
