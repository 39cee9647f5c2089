"""A person on the graph: answers each measured wrist with where the own one is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node

from dexgrasp_ros import contract, conversions


class Person:
    """
    Args:
        node: subscribes and publishes.
        wrist: gives the (4, 4) pose of a time since the first measured wrist, s.

    Attributes:
        change: makes another message of one, to spoil it; None of it: nothing is said.
    """

    def __init__(self, node: Node, wrist: Callable[[float], np.ndarray]) -> None:
        self._wrist = wrist
        self._began: int | None = None
        self.change: Callable[[PoseStamped], PoseStamped | None] = lambda message: message
        self._node = node
        topic = contract.TELEOP_WRIST
        self._publisher = node.create_publisher(topic.type, topic.name, topic.qos)
        topic = contract.WRIST_POSE
        self._measured = node.create_subscription(topic.type, topic.name, self._answer, topic.qos)

    def _answer(self, measured: PoseStamped) -> None:
        ns = conversions.stamp_to_ns(measured.header.stamp)
        self._began = ns if self._began is None else self._began
        pose = self._wrist((ns - self._began) / conversions.NANOSECONDS)
        message = self.change(conversions.pose_stamped(pose, ns, conversions.WORLD))
        if message is not None:
            self._publisher.publish(message)

    def leave(self) -> None:
        """Neither listens nor speaks any more."""
        self._node.destroy_subscription(self._measured)
        self._node.destroy_publisher(self._publisher)
