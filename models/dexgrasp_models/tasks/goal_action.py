"""What a policy of the goal-conditioned task does (UniDexGrasp, C.1): 24 numbers in (-1, 1).

The first three move the target of the wrist along the axes of the reference frame, the next three
turn it about them; 1 is the greatest speed. The other 18 are targets of the actuators, -1 and 1 at
their limits, which are approached no faster than the fingers may.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.tasks.batches import batch
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.joint_ranges import angles_of, normalised

WRIST = 6
"""Numbers of an action that move the wrist."""


def action_size(hand: HandSpec) -> int:
    """Numbers of an action: 24 of the Shadow Hand."""
    return WRIST + len(hand.actuators)


def wrist_actions(actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) moves and (N, 3) turns of actions (N, 24), cut to the greatest speed, which is 1."""
    clipped = np.clip(actions[:, :WRIST], -1.0, 1.0)
    return _no_longer(clipped[:, :3], 1.0), _no_longer(clipped[:, 3:], 1.0)


def acted(
    wrists: np.ndarray,
    targets: np.ndarray,
    measured: np.ndarray,
    actions: np.ndarray,
    frames: np.ndarray,
    hand: HandSpec,
    config: GoalConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Targets after an action.

    Args:
        wrists: (N, 4, 4) present target of `rh_palm` in `world`.
        targets: (N, 22) present joint targets, rad.
        measured: (N, 4, 4) of `rh_palm` in `world`, from which the new target is not farther than
            `wrist_lead`.
        actions: (N, 24), clipped to (-1, 1).
        frames: (N, 4, 4) of `reference_frames`.
        hand: whose joints these are.
        config: of the task.

    Returns:
        (N, 4, 4) and (N, 22), within the joints' limits.

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """
    wrists = batch("wrist target", wrists, None, 4, 4)
    count = len(wrists)
    targets = batch("targets", targets, count, len(hand.joints))
    measured = batch("wrist", measured, count, 4, 4)
    actions = batch("action", actions, count, action_size(hand))
    frames = batch("reference frame", frames, count, 4, 4)

    axes = frames[:, :3, :3]
    moves, turns = (np.einsum("nij,nj->ni", axes, each) for each in wrist_actions(actions))
    moved = wrists.copy()
    moved[:, :3, 3] += config.wrist_speed / config.rate * moves
    turn = Rotation.from_rotvec(config.wrist_angular_speed / config.rate * turns).as_matrix()
    moved[:, :3, :3] = turn @ wrists[:, :3, :3]

    shares = np.clip(actions[:, WRIST:], -1.0, 1.0)
    wanted = angles_of(shares, hand.actuator_limits) @ hand.expansion.T
    longest = config.joint_speed / config.rate
    # A target that was set beyond a limit, or that tendons can't have, comes back no faster either.
    joints = np.clip(targets + np.clip(wanted - targets, -longest, longest), *hand.limits.T)
    return _within_lead(moved, measured, config), joints


def actions_to(
    wrists: np.ndarray,
    wanted: np.ndarray,
    joints: np.ndarray,
    frames: np.ndarray,
    hand: HandSpec,
    config: GoalConfig,
) -> np.ndarray:
    """The actions that lead to targets, or as far on the way as one step can: `acted` undone.

    Args:
        wrists: (N, 4, 4) present target of `rh_palm` in `world`.
        wanted: (N, 4, 4) the one that is wanted.
        joints: (N, 22) joint targets that are wanted, rad.
        frames: (N, 4, 4) of `reference_frames`.
        hand: whose joints these are.
        config: of the task.

    Returns:
        (N, 24) in [-1, 1].

    Raises:
        ValueError: a shape does not fit, or a number isn't finite.
    """
    wrists = batch("wrist target", wrists, None, 4, 4)
    wanted = batch("wanted wrist", wanted, len(wrists), 4, 4)
    joints = batch("wanted joints", joints, len(wrists), len(hand.joints))
    axes = batch("reference frame", frames, len(wrists), 4, 4)[:, :3, :3]
    moves = np.einsum("nji,nj->ni", axes, wanted[:, :3, 3] - wrists[:, :3, 3])
    turned = wanted[:, :3, :3] @ wrists[:, :3, :3].swapaxes(1, 2)
    turns = np.einsum("nji,nj->ni", axes, Rotation.from_matrix(turned).as_rotvec())
    return np.concatenate(
        (
            _no_longer(config.rate / config.wrist_speed * moves, 1.0),
            _no_longer(config.rate / config.wrist_angular_speed * turns, 1.0),
            np.clip(normalised(joints @ hand.reduction.T, hand.actuator_limits), -1.0, 1.0),
        ),
        axis=1,
    )


def wrist_leads(targets: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) m and (N, 3) rad by which wrist targets are ahead of wrists, both in `world`."""
    turned = targets[:, :3, :3] @ measured[:, :3, :3].swapaxes(1, 2)
    return targets[:, :3, 3] - measured[:, :3, 3], Rotation.from_matrix(turned).as_rotvec()


def _within_lead(targets: np.ndarray, measured: np.ndarray, config: GoalConfig) -> np.ndarray:
    ahead, turned = wrist_leads(targets, measured)
    cut = targets.copy()
    too_far = np.linalg.norm(ahead, axis=1) > config.wrist_lead
    near = measured[:, :3, 3] + _no_longer(ahead, config.wrist_lead)
    cut[too_far, :3, 3] = near[too_far]
    too_turned = np.linalg.norm(turned, axis=1) > config.wrist_lead_angle
    turn = Rotation.from_rotvec(_no_longer(turned, config.wrist_lead_angle)).as_matrix()
    cut[too_turned, :3, :3] = (turn @ measured[:, :3, :3])[too_turned]
    return cut


def _no_longer(vectors: np.ndarray, longest: float) -> np.ndarray:
    """(N, 3) vectors, cut to a length."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors * np.minimum(1.0, longest / np.maximum(lengths, 1e-12))
