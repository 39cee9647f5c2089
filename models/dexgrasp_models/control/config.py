"""The controller's settings, as `config/control.yaml` holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dexgrasp_models.config import load_node_parameters
from dexgrasp_models.control.approach_plan import ApproachConfig
from dexgrasp_models.control.carry import CarryConfig
from dexgrasp_models.control.controllers import CONTROLLERS
from dexgrasp_models.control.delivery import Delivery
from dexgrasp_models.control.executor import ExecutorConfig
from dexgrasp_models.control.following import FollowConfig, FollowedObject
from dexgrasp_models.control.lift_check import LiftCheckConfig
from dexgrasp_models.control.limits import GuardedController, SafetyLimits
from dexgrasp_models.control.setup import ControllerSetup
from dexgrasp_models.parameters import Parameters


@dataclass(frozen=True)
class ControlConfig:
    """Settings of planning, execution, the box, objects that are moved, the lift, and safety."""

    approach: ApproachConfig = field(default_factory=ApproachConfig)
    executor: ExecutorConfig = field(default_factory=ExecutorConfig)
    """Of the planned executor, and of the moves beside the grasp."""
    carry: CarryConfig = field(default_factory=CarryConfig)
    follow: FollowConfig = field(default_factory=FollowConfig)
    lift_check: LiftCheckConfig = field(default_factory=LiftCheckConfig)
    limits: SafetyLimits = field(default_factory=SafetyLimits)
    others: Mapping[str, Parameters] = field(default_factory=dict)
    """Of other controllers, by name; one that is missing has its defaults."""

    def make_controller(self, name: str, setup: ControllerSetup) -> GuardedController:
        """The controller of a name, behind its limits; what it lifts is carried on if wanted.

        Raises:
            ValueError: there is none, or it can't be used for this setup.
        """
        kind = CONTROLLERS[name]
        config = self.executor if name == CONTROLLERS.default else self.others.get(name)
        controller = kind.make(config or kind.config(), setup)
        if setup.following is not None:
            controller = FollowedObject(controller, setup.following)
        if setup.carry is not None:
            controller = Delivery(controller, setup.carry, self.executor, setup)
        return GuardedController(
            controller,
            self.limits,
            setup.hand.limits,
            setup.period,
            kind.needs,
        )


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
            carry=CarryConfig.from_mapping(values.get("carry") or {}),
            follow=FollowConfig.from_mapping(values.get("follow") or {}),
            lift_check=LiftCheckConfig.from_mapping(values.get("lift_check") or {}),
            limits=SafetyLimits.from_mapping(values.get("limits") or {}),
            others={
                other: CONTROLLERS[other].config.from_mapping(values[other])
                for other in CONTROLLERS.names
                if other != CONTROLLERS.default and values.get(other)
            },
        )
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
