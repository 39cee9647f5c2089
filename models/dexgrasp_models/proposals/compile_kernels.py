"""Compiles all kernels ahead, so that the first proposal need not wait for it.

python -m dexgrasp_models.proposals.compile_kernels
"""

from __future__ import annotations

import numpy as np
import torch

from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.adaptation import Adaptation, AdaptationConfig
from dexgrasp_models.nets.losses import HandBody
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.synthesis.energy import GraspEnergy
from dexgrasp_models.synthesis.energy_config import EnergyConfig
from dexgrasp_models.synthesis.object_surface import ObjectSurface
from dexgrasp_models.synthesis.refine import GraspBatch, refine


def compile_all() -> None:
    """Make one step of each optimisation with one grasp of a ball."""
    directions = np.random.default_rng(0).normal(size=(200, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points = 0.03 * directions + (0.0, 0.0, 0.03)
    config = EnergyConfig(iterations=1)
    surface = ObjectSurface.from_cloud(points, directions, config)
    hand = PlanningHand(load_hand())
    palm_poses, coordinates = torch.eye(4)[None], torch.zeros(1, len(hand.lower))
    start = GraspBatch(palm_poses, coordinates, coordinates)
    refine(GraspEnergy(hand, surface, config), start, config)

    adaptation = Adaptation(HandBody(HandKinematics(load_hand())), config=AdaptationConfig(steps=1))
    grasp = GraspTensors(palm_poses[:, :3, :3], palm_poses[:, :3, 3], torch.zeros(1, 22))
    cloud = torch.as_tensor(points, dtype=torch.float32)
    adaptation(grasp, cloud, torch.zeros(1, len(cloud)))


if __name__ == "__main__":
    compile_all()
