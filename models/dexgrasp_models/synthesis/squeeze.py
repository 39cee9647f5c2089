"""Joint targets around a grasp: opened before it, pressing after it."""

from __future__ import annotations

import torch
from torch import Tensor

from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.synthesis.energy import Contacts
from dexgrasp_models.synthesis.execution_config import ExecutionConfig


def squeeze_targets(
    hand: PlanningHand,
    link_poses: Tensor,
    joints: Tensor,
    contacts: Contacts,
    forces: Tensor,
    config: ExecutionConfig,
) -> Tensor:
    """Position targets whose servos press with the balancing forces.

    The offset of each actuator is ``squeeze_gain`` times the torque that the contact forces ask of
    it. A tendon that moves J1 and J2 together does the work of both, so its torque about J0 is the
    mean of theirs; the targets of the two joints share its offset equally.

    Args:
        hand: the planning hand.
        link_poses: (B, L, 4, 4) of the grasp.
        joints: (B, 22) of the grasp, rad.
        contacts: where the digits touch.
        forces: (B, 5, 3) on the object, with a total normal part of one.
        config: gain and force.

    Returns:
        (B, 22) rad, possibly inside the object and beyond joint limits.
    """
    torques = hand.kinematics.joint_torques(
        link_poses, hand.pad_links, contacts.hand_points, config.squeeze_force * forces
    )
    return joints + config.squeeze_gain * hand.spread_torques(torques)


def pregrasp_joints(
    hand: PlanningHand,
    link_poses: Tensor,
    coordinates: Tensor,
    contacts: Contacts,
    config: ExecutionConfig,
) -> Tensor:
    """Joints with the digits moved off the surface along its normals, and opened at their base.

    Args:
        hand: the planning hand.
        link_poses: (B, L, 4, 4) of the grasp.
        coordinates: (B, K) planned coordinates of the grasp, rad.
        contacts: where the digits touch.
        config: how far to open.

    Returns:
        (B, 22) rad, within the limits.
    """
    away = hand.kinematics.joint_torques(
        link_poses, hand.pad_links, contacts.hand_points, contacts.normals
    )
    opened = coordinates + config.pregrasp_opening * hand.coordinates(away)
    least = coordinates + config.pregrasp_flexion * hand.opening
    opened = torch.where(hand.opening < 0, torch.minimum(opened, least), opened)
    opened = torch.where(hand.opening > 0, torch.maximum(opened, least), opened)
    return hand.joints(opened.clamp(hand.lower, hand.upper))
