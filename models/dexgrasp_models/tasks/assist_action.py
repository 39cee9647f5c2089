"""What a policy of the human-assisting task does, and how the hand closes by itself at the end.

GraspGF (Wu et al., NeurIPS 2023), 3, 4.1 and A.1. Targets are those of the 22 finger joints,
coupled: both joints of a tendon have the same.
"""

from __future__ import annotations

import numpy as np

from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.tasks.assist_config import AUTO_CLOSE_JOINTS, AssistConfig
from dexgrasp_models.tasks.batches import batch


def composed(gradients: np.ndarray, outputs: np.ndarray, kind: str = "residual") -> np.ndarray:
    """Actions of the residual policy: a = a^p * a^s + a^r, joint by joint (Eq. 2).

    Of an ablation (5.2) the scales are 1 or the residuals are 0.

    Args:
        gradients: (N, 18) of the primitive. a^p is each by its largest absolute number, so that
            the policy alone says how fast; a gradient of zeros stays zeros.
        outputs: (N, 36) of the policy: the scales a^s, then the residuals a^r; (N, 18) if it gives
            one of them.
        kind: `residual`, `only_scales` or `only_residuals`.

    Returns:
        (N, 18), not clipped: `acted` does it.

    Raises:
        ValueError: there is no such kind, a shape does not fit, or a number isn't finite.
    """
    if kind not in ("residual", "only_scales", "only_residuals"):
        raise ValueError(f"no actions are composed of a policy's {kind!r}")
    gradients = batch("gradient", gradients, None, None)
    count, joints = gradients.shape
    outputs = batch("policy's output", outputs, count, joints * (2 if kind == "residual" else 1))
    scales = 1.0 if kind == "only_residuals" else outputs[:, :joints]
    residuals = 0.0 if kind == "only_scales" else outputs[:, -joints:]
    return directions(gradients) * scales + residuals


def directions(gradients: np.ndarray) -> np.ndarray:
    """(N, 18) gradients, each by its largest absolute number; zeros stay zeros."""
    largest = np.abs(gradients).max(axis=1, keepdims=True)
    return gradients / np.where(largest > 0.0, largest, 1.0)


def acted(
    targets: np.ndarray, actions: np.ndarray, hand: HandSpec, config: AssistConfig
) -> np.ndarray:
    """Targets after an action: relative changes of the 18 actuators (A.1).

    Args:
        targets: (N, 22) present ones, rad.
        actions: (N, 18) in the order of `HandSpec.actuators`; clipped to (-1, 1), and 1 is
            `max_change`. A tendon's is the change of the sum of its two joints.
        hand: whose joints these are.
        config: of the task.

    Returns:
        (N, 22) rad, within the joints' limits.

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """
    targets = batch("targets", targets, None, len(hand.joints))
    actions = batch("action", actions, len(targets), len(hand.actuators))
    return _changed(targets, config.max_change * np.clip(actions, -1.0, 1.0), hand)


def auto_closed(
    targets: np.ndarray, shares: np.ndarray, hand: HandSpec, config: AssistConfig
) -> np.ndarray:
    """Targets on the way from those that the policy left to those of the closed hand (4.1).

    Args:
        targets: (N, 22) after the policy's last action, rad.
        shares: (N,) of `auto_close` by now, in [0, 1].
        hand: whose joints these are.
        config: of the task.

    Returns:
        (N, 22) rad, within the joints' limits.

    Raises:
        ValueError: a shape does not fit, a number isn't finite, a share is out of range, or the
            hand lacks a joint that is to close.
    """
    targets = batch("targets", targets, None, len(hand.joints))
    shares = batch("share", shares, len(targets))
    if not ((shares >= 0.0) & (shares <= 1.0)).all():
        raise ValueError("shares of closing have to be in [0, 1]")
    directions = closing_directions(hand, config.auto_close_joints)
    return _changed(targets, config.auto_close * shares[:, None] * directions, hand)


def closing_directions(hand: HandSpec, joints: str) -> np.ndarray:
    """(18,) 1 or -1, in which the actuators close that are to, and 0 for the others.

    Args:
        hand: whose actuators these are.
        joints: a name in `AUTO_CLOSE_JOINTS`.

    Raises:
        ValueError: the hand lacks one of them.
    """
    names = AUTO_CLOSE_JOINTS[joints]
    if missing := [name for name in names if name not in hand.actuators]:
        raise ValueError(f"{hand.name} has no {', '.join(missing)}, which {joints} are to close")
    # The hardware counts flexion positive in all of its fingers.
    signs = np.sign(hand.reduction @ hand.hardware_sign)
    return np.where(np.isin(hand.actuators, names), signs, 0.0)


def _changed(targets: np.ndarray, changes: np.ndarray, hand: HandSpec) -> np.ndarray:
    """(N, 22) targets whose actuators are changed by (N, 18), rad, and kept within limits."""
    actuated = np.clip(targets @ hand.reduction.T + changes, *hand.actuator_limits.T)
    return actuated @ hand.expansion.T
