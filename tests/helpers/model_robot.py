"""A robot on the topics of the contract that follows its commands at once: time goes on with them.

Much faster than a simulator, and as slow as whoever commands it; an object stops its fingers.
"""

from __future__ import annotations

import threading

import numpy as np
from rclpy.node import Node
from rosgraph_msgs.msg import Clock

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_ros import contract, conversions

PERIOD_NS = 20_000_000
HEARTBEAT = 0.05
"""Seconds of wall time after which a state that was not answered comes again."""


class ModelRobot:
    """Hand without arm.

    Attributes:
        stop_joints: (22,) rad beyond which an object in the hand stops the fingers; None: none.
        silent: publishes nothing any more.
        paused: follows no command any more: its time stands still, and its state comes again.
        extra: angles of more joints by name, rad, that it reports.
        efforts: (22,) torques of the fingers, N m; empty: not measured.
        commands: how many pairs of commands it has followed.
        received: how many commands have come.
    """

    def __init__(self, node: Node) -> None:
        self._names = load_hand().finger_joints
        self._lock = threading.RLock()
        self._ns = 1_000_000_000
        self.stop_joints: np.ndarray | None = None
        self.silent = False
        self.paused = False
        self.commands = self.received = 0
        self.extra: dict[str, float] = {}
        self.efforts = np.zeros(0)
        self._targets: dict[str, tuple[int, np.ndarray]] = {}
        self._clock, self._joint_states, self._wrist_pose = (
            node.create_publisher(topic.type, topic.name, topic.qos)
            for topic in (contract.CLOCK, contract.JOINT_STATES, contract.WRIST_POSE)
        )
        for topic, read in (
            (contract.HAND_COMMAND, self._hand_target),
            (contract.WRIST_TARGET, conversions.world_pose_from_message),
        ):
            node.create_subscription(
                topic.type,
                topic.name,
                lambda message, name=topic.name, read=read: self._take(name, message, read),
                topic.qos,
            )
        self.place()
        node.create_timer(HEARTBEAT, self._publish)

    def place(self) -> None:
        """Puts the open hand beside the table's centre, at rest."""
        with self._lock:
            self.wrist = np.eye(4)
            self.wrist[:3, 3] = [-0.3, 0.0, 0.4]
            self.joints = np.zeros(len(self._names))
            self.stop_joints = None
            self.paused = False
            self._targets.clear()

    def _hand_target(self, message) -> np.ndarray | None:
        if not message.points:
            return None
        return conversions.targets_from_message(message, self._names)

    def _take(self, name: str, message, read) -> None:
        with self._lock:
            target = read(message)
            if target is None:  # let go
                self._targets.clear()
                return
            self.received += 1
            self._targets[name] = conversions.stamp_to_ns(message.header.stamp), target
            if self.paused or len(self._targets) < 2:
                return
            if any(ns != self._ns for ns, _ in self._targets.values()):
                return
            joints = self._targets[contract.HAND_COMMAND.name][1]
            if self.stop_joints is not None:
                joints = np.minimum(joints, self.stop_joints)
            self.joints, self.wrist = joints, self._targets[contract.WRIST_TARGET.name][1]
            self.commands += 1
            self._ns += PERIOD_NS
            self._publish()

    def _publish(self) -> None:
        with self._lock:
            if self.silent:
                return
            self._clock.publish(Clock(clock=conversions.ns_to_stamp(self._ns)))
            names = [*self._names, *self.extra]
            positions = [*self.joints, *self.extra.values()]
            self._joint_states.publish(
                conversions.joint_state(
                    names, positions, np.zeros(len(names)), self._ns, self.efforts
                )
            )
            self._wrist_pose.publish(
                conversions.pose_stamped(self.wrist, self._ns, conversions.WORLD)
            )
