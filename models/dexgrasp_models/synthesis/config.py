"""Settings of grasp synthesis; `config/synthesis/` has them as named files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from dexgrasp_models.config import load_config
from dexgrasp_models.grasp.config import AnalyticConfig
from dexgrasp_models.parameters import Parameters, parameter


@dataclass(frozen=True)
class SynthesisConfig(Parameters):
    """How grasps of a scene are synthesised.

    Raises:
        ValueError: a value is out of range or not among the choices.
    """

    method: Literal["refinement", "annealing"] = "refinement"
    """`refinement`: the analytic proposer's, on the object's whole surface. `annealing`: the
    papers' 6,000 steps with random contacts."""
    surface_samples: int = parameter(2048, 64, 65536, "", "points of the object's surface")
    scenes_at_once: int = parameter(2, 1, 4096, "", "scenes that are optimised in one batch")
    energy: AnalyticConfig = field(default_factory=AnalyticConfig)
    """Energy and steps of the refinement; its `batch` is the number of grasps of each scene."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method not in ("refinement", "annealing"):
            raise ValueError(f"method must be refinement or annealing, not {self.method!r}")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """From parsed YAML, the energy's settings under `energy`."""
        values = dict(values)
        if isinstance(values.get("energy"), Mapping):
            values["energy"] = AnalyticConfig.from_mapping(values["energy"])
        return super().from_mapping(values)


def load_synthesis(name: str = "fast") -> SynthesisConfig:
    """The settings of a file in `config/synthesis/`, or of any YAML file by its path.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has an unknown name or a bad value.
    """
    file = name if name.endswith((".yaml", ".yml")) else f"synthesis/{name}.yaml"
    return SynthesisConfig.from_mapping(load_config(file))
