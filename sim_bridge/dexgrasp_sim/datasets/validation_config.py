"""How grasps are tried in the validation, and what passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from dexgrasp_models.data.closing import GAIN
from dexgrasp_models.parameters import Parameters, choice, flag, parameter
from dexgrasp_sim.scene import BACKENDS, SceneConfig


@dataclass(frozen=True)
class ValidationConfig(Parameters):
    """How grasps are tried, and what passes."""

    backend: str = choice(SceneConfig.backend, BACKENDS, "simulator")
    drive: Literal["coupled", "independent"] = choice(
        "coupled",
        ("coupled", "independent"),
        "J1 and J2 of the fingers on one tendon, as on the hardware, or 22 actuators",
    )
    self_collision: bool = flag(True, "whether the hand's links touch each other")
    """Published hands overlap a little; to push them apart would spoil their grasps."""
    squeeze: Literal["balanced", "normals"] = choice(
        "balanced",
        ("balanced", "normals"),
        "forces that the fingers close with: those that leave no net wrench, or equal ones along "
        "the surface's normals",
    )
    """See closing.py."""
    mass: float = parameter(0.1, 0.001, 5.0, "kg", "mass of the object")
    friction: float = parameter(1.0, 0.01, 3.0, "", "sliding friction of all contacts")
    gain: float = parameter(GAIN, -10.0, 10.0, "rad/m", "joint travel for a unit force's torque")
    timestep: float = parameter(0.005, 0.0005, 0.01, "s", "one step of the physics")
    squeeze_time: float = parameter(1.0, 0.05, 10.0, "s", "to close before anything pulls")
    hold_time: float = parameter(1.0, 0.05, 10.0, "s", "in each direction, and after the lift")
    lift_time: float = parameter(0.5, 0.05, 10.0, "s", "in which the table leaves")
    lift_height: float = parameter(0.15, 0.01, 1.0, "m", "between the hand and the table, gained")
    max_penetration: float = parameter(
        0.001, 0.0, 0.1, "m", "deepest contact of a valid grasp (the paper's)"
    )
    max_self_penetration: float = parameter(
        0.003, 0.0, 0.1, "m", "deepest contact of the hand's links with each other, if they touch"
    )
    max_table_penetration: float = parameter(
        0.003, 0.0, 0.1, "m", "deepest contact of hand and table of a grasp that is lifted"
    )
    max_final_penetration: float = parameter(
        0.003, 0.0, 0.1, "m", "deepest contact after the fingers have closed"
    )
    max_shift: float = parameter(0.05, 0.0, 1.0, "m", "displacement from the grasp that is held")
    max_turn: float = parameter(
        np.deg2rad(15.0), 0.0, np.pi, "rad", "turn from the grasp that resists all directions"
    )
    squeezed_shift: float = parameter(
        0.02, 0.0, 1.0, "m", "displacement under gravity from the squeezed pose"
    )


PUBLISHED = ValidationConfig(
    drive="independent",
    self_collision=False,
    squeeze="normals",
    max_penetration=0.003,
    max_table_penetration=0.01,
)
"""For the field's published grasps: made for 22 actuators and equal forces, on meshes that differ
by a millimetre or two from their convex pieces."""
