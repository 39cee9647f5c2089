"""Settings of how grasps are carried out, and of which of them can be."""

from __future__ import annotations

from dataclasses import dataclass

from dexgrasp_models.parameters import Parameters, flag, parameter


@dataclass(frozen=True)
class ExecutionConfig(Parameters):
    """What is asked of the grasps of any proposer: fingers, squeeze, limits, workspace and time."""

    coupled: bool = flag(
        True, "plan with J1 = J2 of the four fingers, as their common tendon moves them"
    )
    time_budget: float = parameter(
        0.0,
        0,
        3600,
        "s",
        "wall time after which a proposer ends its optimisation with what it has found so far; "
        "0: none, so that the same seed gives the same grasps however busy the machine is",
    )

    squeeze_gain: float = parameter(
        1.5, 0, 20, "rad/(N m)", "joint target offset for a torque of the squeeze"
    )
    squeeze_force: float = parameter(5.0, 0, 50, "N", "total normal force of the squeeze")
    pregrasp_opening: float = parameter(
        4.0, 0, 20, "rad/m", "opening of the pre-grasp along the contacts' lever arms"
    )
    pregrasp_flexion: float = parameter(
        0.25, 0, 1.5, "rad", "least opening of the base joints in the pre-grasp"
    )

    max_penetration: float = parameter(
        0.006, 0, 0.05, "m", "deepest penetration of a proposal that is returned"
    )
    min_table_clearance: float = parameter(
        0.0, -0.01, 0.05, "m", "least height above the table of a proposal that is returned"
    )
    workspace_radius: float = parameter(
        0.6, 0.05, 2, "m", "largest horizontal distance of the palm from the table's centre"
    )
    workspace_height: float = parameter(0.8, 0.05, 2, "m", "largest height of the palm")
