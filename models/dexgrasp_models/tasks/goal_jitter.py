"""Goals that are told wrongly, as a proposer may (UniDexGrasp, Table 4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.data.grasps import Grasps, to_angles
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_models.tasks.assist_action import closing_directions

_BOUND = 2.0
"""Deviations beyond which nothing is drawn."""


@dataclass(frozen=True)
class JitterConfig(Parameters):
    """How wrongly; by default not at all. Each grasp draws its own share, from none to all."""

    shift: float = parameter(0.0, 0.0, 0.05, "m", "deviation of the palm along each axis")
    turn: float = parameter(0.0, 0.0, 0.5, "rad", "likewise of its turn about each")
    joints: float = parameter(0.0, 0.0, 0.5, "rad", "likewise of each actuator of the fingers")
    closing: float = parameter(0.0, 0.0, 0.5, "rad", "and of all flexors together")


def jittered(
    goals: Grasps, config: JitterConfig, rng: np.random.Generator, hand: HandSpec
) -> Grasps:
    """Grasps beside some; what presses is as far from the fingers as before.

    Args:
        goals: N.
        config: how far beside.
        rng: draws.
        hand: whose joints these are.
    """
    count, actuators = len(goals), len(hand.actuators)
    if not any(vars(config).values()):
        return goals
    shares = rng.uniform(size=(count, 1))

    def drawn(deviation: float, size: int) -> np.ndarray:
        noise = np.clip(rng.normal(size=(count, size)), -_BOUND, _BOUND)
        return deviation * shares * noise

    shifts, turns = drawn(config.shift, 3), drawn(config.turn, 3)
    closing = drawn(config.closing, 1) * closing_directions(hand, "flexors")
    joints = goals.joints.astype(float)
    angles = joints @ hand.reduction.T + drawn(config.joints, actuators) + closing
    beside = np.clip(angles, *hand.actuator_limits.T) @ hand.expansion.T
    poses = goals.palm_poses
    turned = Rotation.from_rotvec(turns).as_matrix() @ poses[:, :3, :3]
    return replace(
        goals,
        translations=poses[:, :3, 3] + shifts,
        rotations=to_angles(turned),
        joints=beside.astype(goals.joints.dtype),
        squeezes=goals.squeezes + (beside - joints),
    )
