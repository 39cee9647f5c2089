"""Where the hand's links and fingertips are, and how they move: kinematics of what is measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.metrics.keypoints import keypoint_links


@dataclass(frozen=True, eq=False)
class DigitMotion:
    """Of N hands, in the frame of the palms' poses; F fingers."""

    positions: np.ndarray
    """(N, F, 3) where the fingers end, m."""
    rotations: np.ndarray
    """(N, F, 3, 3) of their outermost links."""
    velocities: np.ndarray
    """(N, F, 6) of these points m/s, and of the links rad/s."""


def digit_motion(
    palms: np.ndarray,
    palm_velocities: np.ndarray,
    joints: np.ndarray,
    joint_velocities: np.ndarray,
    hand: HandSpec,
) -> DigitMotion:
    """How the fingertips move.

    Args:
        palms: (N, 4, 4) of `rh_palm`.
        palm_velocities: (N, 6) of it, m/s and rad/s in the same frame.
        joints: (N, 22) rad.
        joint_velocities: (N, 22) rad/s.
        hand: whose joints these are.
    """
    kinematics = _kinematics(hand)
    poses = kinematics.link_poses(torch.as_tensor(palms), torch.as_tensor(joints))
    axes, origins = (each.numpy() for each in kinematics.joint_frames(poses))
    links = [hand.link_index(name) for name in hand.distal_links]
    tips = np.array([hand.links[link].primitives[0].segment[1] for link in links])
    found = poses.numpy()[:, links]
    points = np.einsum("nfij,fj->nfi", found[..., :3, :3], tips) + found[..., :3, 3]

    turning = hand.is_ancestor_joint[links] * joint_velocities[:, None]  # (N, F, 22)
    arms = points[:, :, None] - origins[:, None]
    swung = np.einsum("nfj,nfji->nfi", turning, np.cross(axes[:, None], arms))
    linear, angular = palm_velocities[:, None, :3], palm_velocities[:, None, 3:]
    carried = linear + np.cross(angular, points - palms[:, None, :3, 3])
    velocities = np.concatenate(
        (carried + swung, angular + np.einsum("nfj,nji->nfi", turning, axes)), axis=2
    )
    return DigitMotion(points, found[..., :3, :3], velocities)


def keypoints_of(palms: np.ndarray, joints: np.ndarray, hand: HandSpec) -> np.ndarray:
    """(N, J, 3) positions of the joints of hands, in the frame of the palms' poses, m.

    Args:
        palms: (N, 4, 4) of `rh_palm`.
        joints: (N, 22) rad.
        hand: whose joints these are.
    """
    poses = _kinematics(hand).link_poses(torch.as_tensor(palms), torch.as_tensor(joints)).numpy()
    # In one order of memory whatever N is: sums over it are to be the same to the bit.
    return np.ascontiguousarray(poses[..., :3, 3][:, list(keypoint_links(hand))])


@cache
def _kinematics(hand: HandSpec) -> HandKinematics:
    return HandKinematics(hand, dtype=torch.float64)
