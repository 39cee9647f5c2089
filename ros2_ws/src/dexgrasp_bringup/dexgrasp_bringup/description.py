"""The robot's URDF, for robot_state_publisher and rviz."""

from __future__ import annotations

from dexgrasp_models.arm.mounting import load_mounting
from dexgrasp_models.arm.spec import load_arm
from dexgrasp_models.arm.urdf import robot_urdf
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.hand.urdf import hand_urdf


def robot_description(scene: str) -> str:
    """URDF of the robot in a scene, ``floating`` or ``arm``."""
    if scene == "arm":
        return robot_urdf(load_arm(), load_hand(), load_mounting())
    return hand_urdf(load_hand())
