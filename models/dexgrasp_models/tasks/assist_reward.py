"""The reward of the human-assisting task (GraspGF, Wu et al., NeurIPS 2023: Eq. 7 and 11; B.2)."""

from __future__ import annotations

import numpy as np

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
    rewarded = (steps + 1) % config.following_every == 0
    return np.where(rewarded, config.following * along, 0.0)


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
        following: (N,) r_sim.
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
