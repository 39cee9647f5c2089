"""The robot's description and transforms, as robot_state_publisher gives them on hardware."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
import tf_transformations
from geometry_msgs.msg import TransformStamped
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from dexgrasp_models.arm.mounting import load_mounting
from dexgrasp_models.arm.spec import load_arm
from dexgrasp_models.arm.urdf import robot_urdf
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.hand.urdf import hand_urdf
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.node import ManagedNode

PERIOD_TICKS = 5
"""From one publication of the transforms to the next: 10 Hz."""


@dataclass(frozen=True)
class _Joint:
    """A joint of the URDF; without an axis it is fixed."""

    name: str
    parent: str
    child: str
    origin: np.ndarray
    axis: np.ndarray | None

    def transform(self, angle: float) -> np.ndarray:
        """(4, 4) pose of the child in the parent at an angle in rad."""
        if self.axis is None:
            return self.origin
        return self.origin @ tf_transformations.rotation_matrix(angle, self.axis)


class BridgeTransforms:
    """Publishes the URDF once, and on /tf where the links of the robot are.

    Args:
        node: publishes.
        scene: ``floating``, where the palm hangs in the world, or ``arm``.
    """

    def __init__(self, node: ManagedNode, scene: str) -> None:
        hand = load_hand()
        on_arm = scene == "arm"
        urdf = robot_urdf(load_arm(), hand, load_mounting()) if on_arm else hand_urdf(hand)
        self._joints = _read_joints(urdf)
        self._free_root = None if on_arm else hand.root
        self._output = node.create_lifecycle_publisher(
            contract.TF.type, contract.TF.name, contract.TF.qos
        )
        description = contract.ROBOT_DESCRIPTION
        node.create_publisher(description.type, description.name, description.qos).publish(
            String(data=urdf)
        )

    def publish_if_due(
        self, tick: int, ns: int, joints: Mapping[str, float], wrist_pose: np.ndarray
    ) -> None:
        """Publishes the transforms of this tick if it is time for them and somebody listens.

        Args:
            tick: number of the tick.
            ns: its stamp.
            joints: measured angles of all joints, rad.
            wrist_pose: (4, 4) pose of the palm in the world.
        """
        if tick % PERIOD_TICKS or not self._output.get_subscription_count():
            return
        transforms = [self._link(joint, joints, ns) for joint in self._joints]
        if self._free_root is not None:
            transforms.append(
                conversions.transform_stamped(wrist_pose, ns, conversions.WORLD, self._free_root)
            )
        self._output.publish(TFMessage(transforms=transforms))

    def _link(self, joint: _Joint, angles: Mapping[str, float], ns: int) -> TransformStamped:
        pose = joint.transform(angles.get(joint.name, 0.0))
        return conversions.transform_stamped(pose, ns, joint.parent, joint.child)


def _read_joints(urdf: str) -> list[_Joint]:
    joints = []
    for element in ElementTree.fromstring(urdf).iterfind("joint"):
        origin, axis = tf_transformations.identity_matrix(), None
        if (placed := element.find("origin")) is not None:
            origin = tf_transformations.concatenate_matrices(
                tf_transformations.translation_matrix(_numbers(placed.get("xyz", "0 0 0"))),
                tf_transformations.euler_matrix(*_numbers(placed.get("rpy", "0 0 0"))),
            )
        if element.get("type") != "fixed":
            axis = _numbers(_of_child(element, "axis", "xyz"))
        joints.append(
            _Joint(
                element.attrib["name"],
                _of_child(element, "parent", "link"),
                _of_child(element, "child", "link"),
                origin,
                axis,
            )
        )
    return joints


def _of_child(element: ElementTree.Element, child: str, attribute: str) -> str:
    found = element.find(child)
    assert found is not None
    return found.attrib[attribute]


def _numbers(text: str) -> np.ndarray:
    return np.array([float(word) for word in text.split()])
