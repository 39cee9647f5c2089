"""The controller's settings, as `config/control.yaml` holds them."""

from __future__ import annotations

from dataclasses import dataclass, field

from dexgrasp_models.config import load_node_parameters
from dexgrasp_models.control.approach_plan import ApproachConfig
from dexgrasp_models.control.executor import ExecutorConfig
from dexgrasp_models.control.lift_check import LiftCheckConfig
from dexgrasp_models.control.limits import SafetyLimits


@dataclass(frozen=True)
class ControlConfig:
    """Settings of planning, execution, of what counts as lifted, and of safety."""

    approach: ApproachConfig = field(default_factory=ApproachConfig)
    executor: ExecutorConfig = field(default_factory=ExecutorConfig)
    lift_check: LiftCheckConfig = field(default_factory=LiftCheckConfig)
    limits: SafetyLimits = field(default_factory=SafetyLimits)


def load_control_config(name: str = "control.yaml") -> ControlConfig:
    """The settings in the ROS parameter file `name`; what it does not set keeps its default.

    Raises:
        FileNotFoundError: as `find_config`.
        ValueError: an unknown parameter, a value out of its range, or no parameter file.
    """
    values = load_node_parameters(name, "control")
    try:
        return ControlConfig(
            approach=ApproachConfig.from_mapping(values.get("approach") or {}),
            executor=ExecutorConfig.from_mapping(values.get("executor") or {}),
            lift_check=LiftCheckConfig.from_mapping(values.get("lift_check") or {}),
            limits=SafetyLimits.from_mapping(values.get("limits") or {}),
        )
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
