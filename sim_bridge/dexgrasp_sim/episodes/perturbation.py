"""Negative controls: grasps made worse on purpose. A success test that they pass is wrong."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

import numpy as np

from dexgrasp_models.synthesis.types import Grasp

WRIST_SHIFT = 0.04
"""Metres by which `WRIST_MOVED` displaces the palm."""


class Perturbation(StrEnum):
    """What is done to a grasp before it is carried out."""

    NONE = "none"
    REVERSED_SQUEEZE = "reversed_squeeze"
    SHUFFLED_JOINTS = "shuffled_joints"
    WRIST_MOVED = "wrist_moved"


def perturb(
    grasp: Grasp, kind: Perturbation, joint_limits: np.ndarray, rng: np.random.Generator
) -> Grasp:
    """``grasp`` with one thing wrong.

    Args:
        grasp: as proposed.
        kind: `REVERSED_SQUEEZE` turns the step from grasp to squeeze targets round,
            `SHUFFLED_JOINTS` permutes the finger joints (all three hand shapes alike),
            `WRIST_MOVED` displaces the palm by 4 cm in a random direction.
        joint_limits: (22, 2) rad; permuted angles are clamped to them.
        rng: source of the permutation and the direction.
    """
    match kind:
        case Perturbation.NONE:
            return grasp
        case Perturbation.REVERSED_SQUEEZE:
            return replace(grasp, squeeze_joints=2.0 * grasp.joints - grasp.squeeze_joints)
        case Perturbation.SHUFFLED_JOINTS:
            order = rng.permutation(len(grasp.joints))
            low, high = joint_limits.T
            return replace(
                grasp,
                joints=np.clip(grasp.joints[order], low, high),
                pregrasp_joints=np.clip(grasp.pregrasp_joints[order], low, high),
                squeeze_joints=grasp.squeeze_joints[order],
            )
        case Perturbation.WRIST_MOVED:
            direction = rng.normal(size=3)
            pose = grasp.palm_pose.copy()
            pose[:3, 3] += WRIST_SHIFT * direction / np.linalg.norm(direction)
            return replace(grasp, palm_pose=pose)


def weaken(grasp: Grasp, joint_limits: np.ndarray, rng: np.random.Generator) -> Grasp:
    """``grasp`` as a poor proposer would give it: often too weak, beside its place, or senseless.

    One in eight has its joints permuted; of the others the palm is displaced by up to
    `WRIST_SHIFT` in a random direction, and the squeeze is the given one or a part of it.

    Args:
        grasp: as proposed.
        joint_limits: (22, 2) rad.
        rng: source of all choices.
    """
    if rng.random() < 0.125:
        return perturb(grasp, Perturbation.SHUFFLED_JOINTS, joint_limits, rng)
    share = rng.choice([0.2, 0.4, 0.6, 1.0, 1.0])
    shift = rng.choice([0.0, 0.25, 0.5, 0.75, 1.0])
    moved = perturb(grasp, Perturbation.WRIST_MOVED, joint_limits, rng)
    pose = grasp.palm_pose + shift * (moved.palm_pose - grasp.palm_pose)
    squeeze = grasp.joints + share * (grasp.squeeze_joints - grasp.joints)
    return replace(grasp, palm_pose=pose, squeeze_joints=squeeze)
