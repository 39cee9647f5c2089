"""Settings of the energy of grasps, and of its minimisation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dexgrasp_models.parameters import Parameters, parameter


@dataclass(frozen=True)
class EnergyConfig(Parameters):
    """The energy of grasps, and how it is minimised.

    These are the settings of :class:`~dexgrasp_models.proposals.analytic.AnalyticProposer`; the
    learned one refines with their defaults, synthesis with its own.

    Weights multiply the terms of the energy, which are sums over contacts, points or joints in
    metres and radians.
    """

    batch: int = parameter(64, 1, 1024, "", "grasps that are refined together")
    samples_per_grasp: int = parameter(32, 1, 1024, "", "initial poses scored for each of them")
    diverse_fraction: float = parameter(
        0.25, 0, 1, "", "part of the batch that is the best of random groups, not of all"
    )
    iterations: int = parameter(150, 0, 10_000, "", "steps of the refinement")
    min_elevation: float = parameter(
        math.radians(15), 0, 1.5, "rad", "least slope of the initial approaches towards the table"
    )

    surface_points: int = parameter(256, 16, 4096, "", "object points that repel the hand")
    nearest_obstacles: int = parameter(
        96, 8, 4096, "", "of these, on a GPU, the nearest that are looked at between searches"
    )
    interior_balls: int = parameter(64, 0, 1024, "", "balls inside the object that repel the hand")
    contact_neighbours: int = parameter(12, 1, 64, "", "cloud points averaged at a contact")
    contact_sigma: float = parameter(0.006, 0.001, 0.05, "m", "width of that average")

    friction: float = parameter(0.5, 0.05, 2, "", "friction coefficient that is planned with")
    torque_length: float = parameter(
        0.05, 0.005, 1, "m", "length that makes torques comparable with forces"
    )
    gravity_load: float = parameter(
        0.0, 0, 1, "", "weight of the object over the total normal force, in the force closure"
    )
    closure_steps: int = parameter(15, 1, 1000, "", "solver steps of the force closure programme")

    weight_closure: float = parameter(30.0, 0, 1e6, "", "weight of the force closure residual")
    weight_distance: float = parameter(300.0, 0, 1e6, "1/m", "weight of the attraction")
    weight_alignment: float = parameter(15.0, 0, 1e6, "", "weight of pads facing the surface")
    weight_penetration: float = parameter(3000.0, 0, 1e6, "1/m", "weight of penetration")
    weight_table: float = parameter(100.0, 0, 1e6, "1/m", "weight of reaching below the table")
    weight_joints: float = parameter(10.0, 0, 1e6, "1/rad", "weight of leaving the joint limits")
    weight_self: float = parameter(30.0, 0, 1e6, "1/m", "weight of self penetration")
    weight_prior: float = parameter(0.1, 0, 1e6, "1/rad^2", "weight of leaving the pre-shape")
    penetration_margin: float = parameter(
        0.002, 0, 0.05, "m", "clearance that the penetration term keeps from the object"
    )
    table_margin: float = parameter(
        0.006, 0, 0.05, "m", "clearance that the table term keeps from the table"
    )

    step_translation: float = parameter(0.003, 0, 0.1, "m", "first step of Adam, palm position")
    step_rotation: float = parameter(0.04, 0, 1, "rad", "first step of Adam, palm rotation")
    step_joints: float = parameter(0.04, 0, 1, "rad", "first step of Adam, joints")
