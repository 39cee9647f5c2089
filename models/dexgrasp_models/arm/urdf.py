"""The arm, alone or with the hand mounted on it, as a URDF."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from dexgrasp_models.arm.mounting import Mounting
from dexgrasp_models.arm.spec import ArmJoint, ArmSpec
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.hand.urdf import add_hand
from dexgrasp_models.robot.urdf import (
    add_fixed_joint,
    add_frame,
    add_link,
    add_revolute_joint,
    pose_from_matrix,
    robot_element,
    to_text,
)

_COLOUR = "0.55 0.65 0.75 1"


def arm_urdf(spec: ArmSpec) -> str:
    """The arm's URDF, from `base_link` to the tool frame."""
    robot = robot_element(spec.name)
    add_arm(robot, spec)
    return to_text(robot)


def robot_urdf(arm: ArmSpec, hand: HandSpec, mounting: Mounting) -> str:
    """The URDF of the whole robot: `world`, the arm on its base, forearm, wrist and hand."""
    robot = robot_element(f"{arm.name}_{hand.name}")
    add_frame(robot, "world")
    add_arm(robot, arm)
    add_hand(robot, hand, mounted=True)
    add_fixed_joint(robot, "world", arm.base, pose_from_matrix(mounting.world_T_base))
    add_fixed_joint(robot, arm.tool, hand.mount.root, pose_from_matrix(mounting.tool_T_forearm))
    return to_text(robot)


def add_arm(robot: Element, spec: ArmSpec) -> None:
    """Add the arm's links, joints and tool frame to a `<robot>`; the base gets no parent."""
    for link in spec.links:
        add_link(robot, link, _COLOUR)
        joint = link.joint
        if joint:
            assert isinstance(joint, ArmJoint)
            assert link.parent is not None
            add_revolute_joint(
                robot, joint, link.parent, link.name, link.pose, joint.max_torque, joint.max_speed
            )
    add_frame(robot, spec.tool)
    add_fixed_joint(robot, spec.links[-1].name, spec.tool, spec.tool_pose)
