"""The hand as a URDF, for rviz, robot_state_publisher and Pinocchio."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.robot.urdf import add_link, add_revolute_joint, robot_element, to_text

_COLOUR = "0.75 0.75 0.78 1"
_WRIST_EFFORT = 10.0
"""N m; the wrist is held at zero by its own drive."""


def hand_urdf(spec: HandSpec, mounted: bool = False) -> str:
    """The hand's URDF.

    Args:
        spec: the hand.
        mounted: with forearm and wrist, the forearm as the root; else the palm is the root.
    """
    robot = robot_element(spec.name)
    add_hand(robot, spec, mounted)
    return to_text(robot)


def add_hand(robot: Element, spec: HandSpec, mounted: bool) -> None:
    """Add the hand's links and joints to a `<robot>`; the root link stays without a parent.

    All 22 finger joints are independent here: the coupling is the matter of whoever moves
    them, and measured angles of both joints are known.
    """
    mount = spec.mount
    if mounted:
        for link in mount.links:
            add_link(robot, link, _COLOUR)
            if link.joint:
                assert link.parent is not None
                add_revolute_joint(
                    robot,
                    link.joint,
                    link.parent,
                    link.name,
                    link.pose,
                    _WRIST_EFFORT,
                    spec.max_joint_speed,
                )
        add_revolute_joint(
            robot,
            mount.palm_joint,
            mount.links[-1].name,
            spec.root,
            mount.palm_pose,
            _WRIST_EFFORT,
            spec.max_joint_speed,
        )
    effort = max(map(abs, spec.actuator.force_range))
    for link in spec.links:
        add_link(robot, link, _COLOUR)
        if link.joint:
            assert link.parent is not None
            add_revolute_joint(
                robot, link.joint, link.parent, link.name, link.pose, effort, spec.max_joint_speed
            )
