"""What is heard of a controller of ROS 2, by a node that comes for a moment and moves nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass

import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState

from dexgrasp_ros import conversions, qos

_ENOUGH = 50
"""Joint states from which their age is told."""


@dataclass(frozen=True)
class HeardController:
    """What there is of a controller.

    Attributes:
        listens: whether anybody listens on its topic.
        states: how many joint states have come.
        age: s, the greatest that one of them had by its stamp; 0 before the first.
        late: s, by which that is more than the least: what is left where clocks are apart.
    """

    listens: bool
    states: int
    age: float
    late: float


def listen(joint_states: str, command: str, patience: float) -> HeardController:
    """Listens in the domain of the environment until all is there, or for `patience` s.

    Args:
        joint_states: topic of sensor_msgs/JointState.
        command: topic on which the controller is commanded; nothing is sent there.
        patience: s.
    """
    context = rclpy.Context()
    context.init()
    executor = SingleThreadedExecutor(context=context)
    node = rclpy.create_node("dexgrasp_doctor", context=context)
    ages: list[float] = []

    def hear(message: JointState) -> None:
        now = node.get_clock().now().nanoseconds
        taken = conversions.stamp_to_ns(message.header.stamp)
        ages.append((now - taken) / conversions.NANOSECONDS)

    try:
        node.create_subscription(JointState, joint_states, hear, qos.NEWEST_REQUEST)
        executor.add_node(node)
        until = time.monotonic() + patience
        listens = False
        while time.monotonic() < until and not (listens and len(ages) >= _ENOUGH):
            executor.spin_once(timeout_sec=0.1)
            listens = node.count_subscribers(command) > 0
        oldest, newest = max(ages, default=0.0), min(ages, default=0.0)
        return HeardController(listens, len(ages), oldest, oldest - newest)
    finally:
        executor.shutdown()
        node.destroy_node()
        context.shutdown()
