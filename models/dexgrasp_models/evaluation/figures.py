"""What is measured of the grasps that a row proposes for one scene: UniDexGrasp, C.3.1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.metrics.analytic import evaluate_grasps
from dexgrasp_models.metrics.diversity import (
    joint_deviation,
    keypoint_deviation,
    rotation_deviation,
    translation_deviation,
)
from dexgrasp_models.metrics.keypoints import keypoints
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.synthesis.types import Grasp


@dataclass(frozen=True)
class SceneObject:
    """The true object of a scene, which no row sees."""

    pose: np.ndarray
    """(4, 4) of its frame in `world`, where the table is z = 0."""
    points: np.ndarray
    """(N, 3) samples of its surface in its frame, m."""
    normals: np.ndarray
    """(N, 3) outward unit normals."""


def proposal_figures(
    distance: HandDistance, grasps: Sequence[Grasp], scene: SceneObject
) -> dict[str, float]:
    """Quality and diversity of grasps proposed for one scene.

    Args:
        distance: to the hand.
        grasps: in `world`.
        scene: the object they are for.

    Returns:
        The mean of each figure of `evaluate_grasps`; sigma_rotation (rad) and sigma_keypoints (m).

    Raises:
        ValueError: there are no grasps, or the scene isn't valid.
    """
    kinematics = distance.kinematics
    palms = np.array([grasp.palm_pose for grasp in grasps]).reshape(-1, 4, 4)
    joints = np.array([grasp.joints for grasp in grasps])
    palms = np.linalg.inv(scene.pose) @ palms
    planes = np.tile(scene.pose[2], (len(palms), 1))
    found = evaluate_grasps(distance, palms, joints, scene.points, scene.normals, planes)
    link_poses = kinematics.link_poses(
        torch.as_tensor(palms, dtype=kinematics.dtype),
        torch.as_tensor(joints, dtype=kinematics.dtype),
    )
    return {name: float(values.mean()) for name, values in found.items()} | {
        "sigma_rotation": rotation_deviation(palms[:, :3, :3]),
        "sigma_keypoints": keypoint_deviation(keypoints(kinematics.spec, link_poses).numpy()),
    }


def conditional_figures(grasps: GraspTensors, rotations: int) -> dict[str, float]:
    """Spread of translations (sigma_T|R, m) and joints (sigma_theta|R, rad) for one rotation.

    Args:
        grasps: as many for each of some rotations, those of the first one first.
        rotations: how many these are.
    """
    _, translations, joints = (values.unflatten(0, (rotations, -1)).numpy() for values in grasps)
    return {
        "sigma_translation_given_rotation": translation_deviation(translations),
        "sigma_joints_given_rotation": joint_deviation(joints),
    }
