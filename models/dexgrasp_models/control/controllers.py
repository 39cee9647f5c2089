"""How a controller is made by name, and what it needs of whoever runs it.

A package of one's own adds a controller by an entry point of the group ``dexgrasp.controllers``,
named as the controller and leading to a `ControllerKind` (see `registry`). Its settings are
parameters of the control node, ``<name>.<setting>``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dexgrasp_models.parameters import Parameters
from dexgrasp_models.registry import Registry

if TYPE_CHECKING:  # the command line asks for the names only
    from dexgrasp_models.control.setup import ControllerSetup
    from dexgrasp_models.control.types import Controller, Observation


class Need(StrEnum):
    """What a controller asks of whoever runs it."""

    PLAN = "a planned way"
    GOAL = "a goal grasp"
    CLOUD = "a cloud"
    CLOUD_STREAM = "a stream of clouds"
    WRIST_STREAM = "a person's wrist"
    EFFORTS = "joint efforts"
    TACTILE = "contact forces"


@dataclass(frozen=True)
class ControllerKind:
    """How the controllers of a name are made.

    Attributes:
        config: type of their settings, all of which have defaults.
        make: gives a controller for settings and a setup. Raises ValueError where they can't be
            used.
        needs: what every observation must have, and the setup.
    """

    config: type[Parameters]
    make: Callable[[Any, ControllerSetup], Controller]
    needs: frozenset[Need] = frozenset()


CONTROLLERS = Registry(
    "controller",
    "dexgrasp.controllers",
    ControllerKind,
    {
        "planned": "dexgrasp_models.control.executor:KIND",
        "graspgf": "dexgrasp_models.tasks.assist_controller:KIND",
        "policy": "dexgrasp_models.tasks.goal_controller:KIND",
    },
)


def usable_controller(name: str, offered: Collection[Need]) -> ControllerKind:
    """The kind of a name, where all that it needs is offered.

    Raises:
        ValueError: it is not, or there is no such controller.
    """
    kind = CONTROLLERS[name]
    missing = [need.value for need in Need if need in kind.needs and need not in offered]
    if missing:
        raise ValueError(f"controller {name} needs {', '.join(missing)}, which is not offered here")
    return kind


def lacking(observation: Observation, needs: Collection[Need]) -> str | None:
    """What an observation has not, of what a controller needs; None where it has all."""
    offered = {
        Need.GOAL: observation.goal,
        Need.CLOUD: observation.object_points,
        Need.CLOUD_STREAM: observation.object_points,
        Need.WRIST_STREAM: observation.wrist_wanted,
        Need.EFFORTS: observation.state.efforts,
        Need.TACTILE: observation.tactile,
    }
    missing = [need.value for need, value in offered.items() if need in needs and value is None]
    return f"the controller lacks {', '.join(missing)}" if missing else None
