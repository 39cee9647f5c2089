"""The reward of the human-assisting task (GraspGF, Wu et al., NeurIPS 2023: Eq. 7 and 11; B.2).

Baselines have another one than r_sim in its place, in the same steps (4.3, C).
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from dexgrasp_models.tasks.assist_config import AssistRewardConfig
from dexgrasp_models.tasks.batches import batch


def following_reward(
    gradients: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    steps: np.ndarray,
    config: AssistRewardConfig,
) -> np.ndarray:
    """r_sim (Eq. 7, Eq. 11): lambda_a <a_p / |a_p|, J_t - J_(t-1)>, in every fifth step (B.2).

    Args:
        gradients: (N, 18) of the primitive, a_p; where it is zero, there is no reward.
        before: (N, 18) measured actuator angles before the step, J_(t-1), rad.
        after: (N, 18) after it, J_t, rad.
        steps: (N,) the step just made, counted from 0: the fifth is 4.
        config: of the reward.

    Returns:
        (N,).

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """
    gradients = batch("gradient", gradients, None, None)
    before = batch("angles before", before, *gradients.shape)
    after = batch("angles after", after, *gradients.shape)
    steps = batch("step", steps, len(gradients))
    sizes = np.linalg.norm(gradients, axis=1)
    along = ((after - before) * gradients).sum(axis=1) / np.where(sizes > 0.0, sizes, 1.0)
    return np.where(_rewarded(steps, config), config.following * along, 0.0)


def fingertip_reward(
    fingertips: np.ndarray, clouds: np.ndarray, steps: np.ndarray, config: AssistRewardConfig
) -> np.ndarray:
    """Less the mean distance of the fingertips to the closest points of the cloud (4.3).

    Args:
        fingertips: (N, F, 3) after the step, m.
        clouds: (N, P, 3) in the same frames, m.
        steps: (N,) as of `following_reward`.
        config: of the reward.

    Returns:
        (N,).

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """
    fingertips = batch("fingertips", fingertips, None, None, 3)
    clouds = batch("cloud", clouds, len(fingertips), None, 3)
    steps = batch("step", steps, len(fingertips))
    pairs = zip(fingertips, clouds, strict=True)
    distances = np.array([cdist(tips, cloud).min(axis=1).mean() for tips, cloud in pairs])
    return np.where(_rewarded(steps, config), -config.fingertips * distances, 0.0)


def hint_reward(
    joints: np.ndarray, hints: np.ndarray, steps: np.ndarray, config: AssistRewardConfig
) -> np.ndarray:
    """Less the mean absolute difference of the joints to those of the posture that is told (C).

    Args:
        joints: (N, J) after the step, rad.
        hints: (N, J) that are told, rad.
        steps: (N,) as of `following_reward`.
        config: of the reward.

    Returns:
        (N,).

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """
    joints = batch("joints", joints, None, None)
    hints = batch("hint", hints, *joints.shape)
    steps = batch("step", steps, len(joints))
    distances = np.abs(joints - hints).mean(axis=1)
    return np.where(_rewarded(steps, config), -config.hint * distances, 0.0)


def rise_reward(rises: np.ndarray, config: AssistRewardConfig) -> np.ndarray:
    """r_h = lambda_h dh (Eq. 7).

    Args:
        rises: (N,) by which the objects' centres of mass are higher after the lift, m.
        config: of the reward.

    Raises:
        ValueError: the shape does not fit, or a number isn't finite.
    """
    return config.rise * batch("rise", rises, None)


def reward(
    following: np.ndarray, rise: np.ndarray, success: np.ndarray, config: AssistRewardConfig
) -> np.ndarray:
    """r_t = (1 - d_t) (r_sim + r_h) + d_t lambda_s (Eq. 7): a success replaces the others.

    Args:
        following: (N,) r_sim, or what a baseline has in its place.
        rise: (N,) r_h, zero before the lift.
        success: (N,) d_t: whether the episode ended with this step, and with success.
        config: of the reward.

    Returns:
        (N,).

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """
    following = batch("following reward", following, None)
    rise = batch("rise reward", rise, len(following))
    if np.shape(success) != following.shape:
        raise ValueError(f"success has the shape {np.shape(success)}, not {following.shape}")
    return np.where(success, config.success, following + rise)


def _rewarded(steps: np.ndarray, config: AssistRewardConfig) -> np.ndarray:
    """(N,) whether it is a step of r_sim, or of what is in its place."""
    return (steps + 1) % config.following_every == 0
