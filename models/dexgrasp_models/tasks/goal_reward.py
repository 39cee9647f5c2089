"""The reward of the goal-conditioned task (UniDexGrasp, B.2.1, Eq. 5 to 10; weights of Table 7)."""

from __future__ import annotations

import numpy as np

from dexgrasp_models.tasks.batches import batch
from dexgrasp_models.tasks.goal_config import GoalRewardConfig


def goal_reward(
    joints: np.ndarray,
    goal_joints: np.ndarray,
    wrists: np.ndarray,
    goals: np.ndarray,
    config: GoalRewardConfig,
) -> np.ndarray:
    """r_goal (Eq. 5): less the distances of joints, palm and its rotation to the goal's.

    Args:
        joints: (N, J) rad.
        goal_joints: (N, J) of the grasps, rad.
        wrists: (N, 4, 4) of `rh_palm` in the objects' frames.
        goals: (N, 4, 4) of the grasps, likewise.
        config: of the reward.

    Returns:
        (N,).

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """
    joints = batch("joints", joints, None, None)
    goal_joints = batch("joints of the goal", goal_joints, *joints.shape)
    wrists = batch("wrist", wrists, len(joints), 4, 4)
    goals = batch("goal", goals, len(joints), 4, 4)
    return -(
        config.joints * np.abs(joints - goal_joints).sum(axis=1)
        + config.translation * np.linalg.norm(wrists[:, :3, 3] - goals[:, :3, 3], axis=1)
        + config.rotation * rotation_distances(wrists[:, :3, :3], goals[:, :3, :3])
    )


def rotation_distances(rotations: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) L_rot (Eq. 6), rad: the angle between rotations (N, 3, 3)."""
    traces = np.einsum("nij,nij->n", rotations, others)
    return np.arccos(np.clip(0.5 * (traces - 1.0), -1.0, 1.0))


def finger_distances(fingertips: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """(N,) m, sum over the fingers of their distances to the object.

    Args:
        fingertips: (N, F, 3).
        objects: (N, 3) positions in the same frames.

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """
    fingertips = batch("fingertips", fingertips, None, None, 3)
    objects = batch("object", objects, len(fingertips), 3)
    return np.linalg.norm(fingertips - objects[:, None], axis=2).sum(axis=1)


def reach_reward(distances: np.ndarray, config: GoalRewardConfig) -> np.ndarray:
    """r_reach (Eq. 7).

    Args:
        distances: (N,) of `finger_distances`, m.
        config: of the reward.

    Raises:
        ValueError: the shape does not fit, or a number isn't finite.
    """
    return -config.reach * batch("distance", distances, None)


def lift_reward(
    keypoint_errors: np.ndarray,
    distances: np.ndarray,
    target_distances: np.ndarray,
    upwards: np.ndarray,
    config: GoalRewardConfig,
) -> np.ndarray:
    """r_lift (Eq. 8): for going up once the grasp is reached, until the object is at its target.

    Args:
        keypoint_errors: (N,) of `mean_position_errors`, m.
        distances: (N,) of `finger_distances`, m.
        target_distances: (N,) of the objects to their targets, d_obj, m.
        upwards: (N,) a_z, the upward part of the action in [-1, 1].
        config: of the reward.

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """
    keypoint_errors = batch("error of the keypoints", keypoint_errors, None)
    count = len(keypoint_errors)
    lifting = (
        (keypoint_errors < config.goal_reached)
        & (batch("distance of fingers", distances, count) < config.fingers_reached)
        & (batch("distance to target", target_distances, count) > config.near_target)
    )
    return np.where(lifting, config.lift * (1.0 + batch("upward action", upwards, count)), 0.0)


def move_reward(target_distances: np.ndarray, config: GoalRewardConfig) -> np.ndarray:
    """r_move (Eq. 9): less the object's distance to its target, with a bonus close to it.

    Args:
        target_distances: (N,) d_obj, m.
        config: of the reward.

    Raises:
        ValueError: the shape does not fit, or a number isn't finite.
    """
    distances = batch("distance to target", target_distances, None)
    bonus = 1.0 / (1.0 + config.bonus * distances)
    return -config.move * distances + np.where(distances < config.near_target, bonus, 0.0)
