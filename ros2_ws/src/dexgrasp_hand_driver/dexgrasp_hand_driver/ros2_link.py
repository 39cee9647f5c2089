"""The way to the vendor's software for ROS 2: topics of the same graph, or of one beside it.

What is sent is stamped in the time of the vendor's states, as over rosbridge: ros2_control's
joint_trajectory_controller refuses a trajectory that has a stamp and ends in the past. Of what was
not sent yet the newest alone is kept.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from builtin_interfaces.msg import Duration, Time
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dexgrasp_hand_driver.controllers import (
    Controllers,
    ControllersError,
    TrajectoryController,
    VendorMessage,
)
from dexgrasp_hand_driver.driver_parameters import Ros2Parameters
from dexgrasp_hand_driver.hand_link import LinkView
from dexgrasp_hand_driver.hand_state import HandStateReader
from dexgrasp_models.hand.vendor_joints import VendorJoints, VendorStateError
from dexgrasp_ros import qos
from dexgrasp_ros.contract import Topic
from dexgrasp_ros.node import ManagedNode

_LIST_PERIOD = 0.1
"""Seconds between two looks at who is on the controller's topic."""


class Ros2Link:
    """Listens and publishes in the node's own thread.

    Args:
        node: subscribes and publishes.
        topics: of the vendor's.
        vendor: whose joints the states have.
    """

    def __init__(self, node: ManagedNode, topics: Ros2Parameters, vendor: VendorJoints) -> None:
        self.states_topic = node.resolve_topic_name(topics.joint_states)
        self._command = Topic(
            node.resolve_topic_name(topics.command), JointTrajectory, qos.SET_POINT
        )
        self.where = f"ROS 2 on {self._command.name}"
        self.view = LinkView()
        self._node = node
        self._vendor = vendor
        joints = (*vendor.hand.finger_joints, *(vendor.wrist if topics.wrist else ()))
        self._controller = TrajectoryController(joints, self._command.name)
        self._output: Publisher | None = None
        self._input: Subscription | None = None
        self._timer: Timer | None = None

    def start(self) -> None:
        self._open()
        self._timer = self._node.create_timer(
            _LIST_PERIOD, self._list, clock=self._node.steady_clock
        )

    def close(self) -> None:
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
        self._shut()

    def renew(self) -> None:
        """What the middleware has kept back is gone with its publisher."""
        self._shut()
        self._open()

    def controllers(self, view: LinkView) -> Controllers:
        """The one on the topic, if it is there and nobody else commands it."""
        if other := self._node.neighbours.other_publisher((self._command,)):
            raise ControllersError(other)
        if not view.listed:
            raise ControllersError(
                f"nobody listens on {self._command.name}: start the hand's controllers, or name"
                " their topic by `ros2.command`"
            )
        return self._controller

    def advertise(self, topics: Mapping[str, str]) -> None:
        """Is done already, as there is only one."""

    def send(self, messages: Sequence[VendorMessage], until: float) -> None:
        if time.monotonic() > until:
            self.view = replace(self.view, late=self.view.late + 1)
            return
        assert self._output is not None
        for message in messages:
            self._output.publish(_trajectory(message.content))

    def _open(self) -> None:
        node = self._node
        topic = self._command
        self._reader = HandStateReader(self._vendor)
        self._output = node.create_publisher(topic.type, topic.name, topic.qos)
        self._input = node.create_subscription(
            JointState, self.states_topic, self._hear, qos.NEWEST_REQUEST
        )
        self.view = LinkView(self.view.connection + 1, True, "", late=self.view.late)

    def _shut(self) -> None:
        if self._output is not None:
            self._node.destroy_publisher(self._output)
        if self._input is not None:
            self._node.destroy_subscription(self._input)
        self._output = self._input = None

    def _list(self) -> None:
        """A new list each time, as the node looks at what is new."""
        heard = self._node.count_subscribers(self._command.name)
        self.view = replace(self.view, listed=[{"name": self._command.name}] if heard else [])

    def _hear(self, message: JointState) -> None:
        stamp = message.header.stamp
        try:
            state = self._reader.read(
                {
                    "header": {"stamp": {"secs": stamp.sec, "nsecs": stamp.nanosec}},
                    "name": message.name,
                    "position": message.position,
                    "velocity": message.velocity,
                    "effort": message.effort,
                },
                time.monotonic(),
            )
        except VendorStateError as error:
            self.view = replace(self.view, bad_state=str(error))
            return
        self.view = replace(self.view, state=state, states=self.view.states + 1, bad_state="")


def _trajectory(content: Mapping[str, Any]) -> JointTrajectory:
    """A message of ROS 2, of one as rosbridge has it."""
    message = JointTrajectory(joint_names=content["joint_names"])
    stamp = content["header"]["stamp"]
    message.header.stamp = Time(sec=stamp["secs"], nanosec=stamp["nsecs"])
    for point in content["points"]:
        due = point["time_from_start"]
        message.points.append(
            JointTrajectoryPoint(
                positions=point["positions"],
                time_from_start=Duration(sec=due["secs"], nanosec=due["nsecs"]),
            )
        )
    return message
