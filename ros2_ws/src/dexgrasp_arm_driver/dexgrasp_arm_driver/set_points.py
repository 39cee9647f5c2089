"""Joint set-points as the controllers of Universal Robots' ROS 2 driver take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from builtin_interfaces.msg import Duration
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dexgrasp_arm_driver.driver_topics import DriverTopics
from dexgrasp_ros import conversions
from dexgrasp_ros.contract import Topic

FOLLOW_RATE = 250.0
"""Hz, at which the arm is led on its way."""
INTERFACES = ("forward_position", "trajectory")


class SetPoints(Protocol):
    """A controller of the driver's.

    Attributes:
        topic: on which it listens.
        every: each how many periods of `FOLLOW_RATE` it gets a set-point.
    """

    topic: Topic
    every: int

    def message(self, joints: np.ndarray) -> Any:
        """What sends the arm to (6,) joints, rad."""


class ForwardPositions:
    """`forward_position_controller`: goes to each at once, and stays at the last."""

    every = 1

    def __init__(self, topics: DriverTopics) -> None:
        self.topic = topics.positions

    def message(self, joints: np.ndarray) -> Float64MultiArray:
        return Float64MultiArray(data=joints.tolist())


class TrajectoryPoints:
    """`scaled_joint_trajectory_controller`: one point that is due in a moment, again and again.

    It has no speed, as the controller refuses one at a trajectory's end; its stamp of zero is now.

    Args:
        topics: of the driver.
        names: of the joints, as the driver has them.
        lead: s until the point is due.
    """

    every = 5

    def __init__(self, topics: DriverTopics, names: Sequence[str], lead: float) -> None:
        self.topic = topics.trajectory
        self._names = list(names)
        seconds, nanoseconds = divmod(conversions.seconds_to_ns(lead), conversions.NANOSECONDS)
        self._lead = Duration(sec=seconds, nanosec=nanoseconds)

    def message(self, joints: np.ndarray) -> JointTrajectory:
        point = JointTrajectoryPoint(positions=joints.tolist(), time_from_start=self._lead)
        return JointTrajectory(joint_names=self._names, points=[point])


def make_set_points(
    interface: str, topics: DriverTopics, names: Sequence[str], lead: float
) -> SetPoints:
    """One of `INTERFACES`; the arguments are those of `TrajectoryPoints`."""
    if interface == "trajectory":
        return TrajectoryPoints(topics, names, lead)
    return ForwardPositions(topics)
