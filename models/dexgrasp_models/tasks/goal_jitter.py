"""Goals that are told wrongly, as a proposer may (UniDexGrasp, Table 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from dexgrasp_models.data.grasps import Grasps, concatenate, to_angles
from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics
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


DEPTHS: Mapping[str, float] = {"small": 0.00512, "large": 0.01058, "apart": -0.00309}
"""m to which the hand reaches into the object in Table 4 (a), (b) and (c); (c) is a gap."""

_CANDIDATES = 128
_WIDE = JitterConfig(shift=0.012, turn=0.1, joints=0.08, closing=0.25)


def jittered_to(
    goals: Grasps, clouds: np.ndarray, depth: float, rng: np.random.Generator, hand: HandSpec
) -> Grasps:
    """Grasps beside some, of many that are drawn the ones that reach into the object so deep.

    Args:
        goals: N.
        clouds: (N, P, 3) of the objects' whole surfaces, in their own frames, m.
        depth: m, as in `DEPTHS`.
        rng: draws.
        hand: whose joints these are.
    """
    distance = HandDistance(HandKinematics(hand))

    def nearest(goal: Grasps, cloud: np.ndarray) -> Grasps:
        candidates = jittered(goal[np.zeros(_CANDIDATES, dtype=int)], _WIDE, rng, hand)
        off = np.abs(depths(candidates, cloud, distance) - depth)
        return candidates[[int(off.argmin())]]

    found = [nearest(goals[[row]], cloud) for row, cloud in enumerate(clouds)]
    return goals.held_as(concatenate(found))


def depths(goals: Grasps, cloud: np.ndarray, distance: HandDistance) -> np.ndarray:
    """(N,) m to which hands reach into one object; of those that don't touch it the gap, negative.

    Args:
        goals: N.
        cloud: (P, 3) of the object, in its frame, m.
        distance: to the hand.
    """

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(values, dtype=torch.float32)

    points, poses, joints = map(tensor, (cloud, goals.palm_poses, goals.joints))
    with torch.no_grad():
        return -distance.signed_distance(points, poses, joints).amin(1).numpy().astype(float)
