"""The controller's settings, as `config/control.yaml` holds them."""

from __future__ import annotations

from dataclasses import dataclass, field

from dexgrasp_models.config import load_config
from dexgrasp_models.control.approach import ApproachConfig
from dexgrasp_models.control.executor import ExecutorConfig
from dexgrasp_models.control.limits import SafetyLimits


@dataclass(frozen=True)
class ControlConfig:
    """Settings of planning, execution and safety."""

    approach: ApproachConfig = field(default_factory=ApproachConfig)
    executor: ExecutorConfig = field(default_factory=ExecutorConfig)
    limits: SafetyLimits = field(default_factory=SafetyLimits)


def load_control_config(name: str = "control.yaml") -> ControlConfig:
    """The settings in the ROS parameter file `name`; what it does not set keeps its default.

    Raises:
        FileNotFoundError: as `find_config`.
        ValueError: an unknown parameter, a value out of its range, or no parameter file.
    """
    content = load_config(name)
    try:
        values = content["control"]["ros__parameters"]
        return ControlConfig(
            approach=ApproachConfig.from_mapping(values.get("approach") or {}),
            executor=ExecutorConfig.from_mapping(values.get("executor") or {}),
            limits=SafetyLimits.from_mapping(values.get("limits") or {}),
        )
    except (KeyError, TypeError, AttributeError):
        raise ValueError(f"{name} must hold a mapping control: ros__parameters: ...") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
