"""The topics of a simulated robot in tests."""

from __future__ import annotations

import numpy as np
from rclpy.node import Node
from ros_graph import Graph, eventually
from sensor_msgs.msg import JointState

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_ros import contract, conversions

JOINTS = load_hand().finger_joints


class Robot:
    """The bridge's topics, as a controller sees them.

    Args:
        ros: the graph.
        node: publishes the commands; by default the tester.
    """

    def __init__(self, ros: Graph, node: Node | None = None) -> None:
        self.ros = ros
        node = node or ros.tester
        self.joint_states: list[JointState] = ros.collect(contract.JOINT_STATES)
        self.wrist_poses = ros.collect(contract.WRIST_POSE)
        self.object_poses = ros.collect(contract.OBJECT_POSE)
        self.diagnostics = ros.collect(contract.DIAGNOSTICS)
        self.hand, self.wrist = (
            node.create_publisher(topic.type, topic.name, topic.qos)
            for topic in (contract.HAND_COMMAND, contract.WRIST_TARGET)
        )
        assert eventually(lambda: self.wrist_poses and self.joint_states and self.object_poses)
        assert eventually(
            lambda: self.hand.get_subscription_count() and self.wrist.get_subscription_count()
        )

    @property
    def wrist_pose(self) -> np.ndarray:
        return conversions.world_pose_from_message(self.wrist_poses[-1])

    @property
    def now_ns(self) -> int:
        return conversions.stamp_to_ns(self.joint_states[-1].header.stamp)

    def fingers(self) -> np.ndarray:
        of_hand = next(m for m in reversed(self.joint_states) if JOINTS[0] in m.name)
        return conversions.joints_from_message(of_hand, JOINTS)[0]

    def send(self, pose: np.ndarray, fingers: np.ndarray, ns: int = 0) -> None:
        self.wrist.publish(conversions.pose_stamped(pose, ns, conversions.WORLD))
        self.hand.publish(conversions.joint_trajectory(JOINTS, fingers, ns))

    def said(self, text: str) -> bool:
        return any(text in status.message for m in self.diagnostics for status in m.status)
