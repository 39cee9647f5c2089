"""Where the robot is, to tell its own points from the object's."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import JointState

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.arm.spec import load_arm
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.perception.fusion import RobotDistance
from dexgrasp_models.perception.robot_mask import robot_distance
from dexgrasp_ros import contract, conversions

_KEPT = 100
"""Wrist poses; two seconds of them."""
_STATE_AGE_NS = 100_000_000
"""Between an image and the state that it is told the robot by, at most."""


class RobotInput:
    """The newest joint angles and wrist pose, listened to while they are wanted only.

    The hand and the arm may report in messages of their own; without any of the arm's joints the
    hand is taken to float.

    Args:
        node: subscribes.
        arrived: notified at each message, and guards what they leave here.
    """

    def __init__(self, node: Node, arrived: threading.Condition) -> None:
        self._hand = load_hand()
        self._finger_joints = self._hand.finger_joints
        self._arm_joints = load_arm().joint_names
        self._arm: ArmKinematics | None = None
        self._angles: dict[str, float] = {}
        self._wrist: PoseStamped | None = None
        self._past: deque[tuple[int, PoseStamped, dict[str, float]]] = deque(maxlen=_KEPT)
        self._node = node
        self._arrived = arrived
        self._subscriptions: list[Subscription] = []
        self._sources = 0

    def ask_for_states(self) -> None:
        """Begins to listen, and forgets what was before."""
        states, wrist = contract.JOINT_STATES, contract.WRIST_POSE
        with self._arrived:
            self._angles, self._wrist = {}, None
            self._past.clear()
        self._sources = self._node.count_publishers(states.name)
        self._subscriptions = [
            self._node.create_subscription(states.type, states.name, self._put_joints, states.qos),
            self._node.create_subscription(wrist.type, wrist.name, self._put_wrist, wrist.qos),
        ]

    @property
    def complete(self) -> bool:
        """Whether the wrist and the joints of everybody who publishes any have come since."""
        if not self._sources:
            return True
        fingers = all(name in self._angles for name in self._finger_joints)
        arm = self._sources < 2 or all(name in self._angles for name in self._arm_joints)
        return self._wrist is not None and fingers and arm

    def distance(self, at_ns: int | None = None) -> RobotDistance:
        """Distance to the robot as it is now, or as it was at a time on the clock of its stamps.

        Raises:
            MessageError: its state is not known, or not of about that time, or not finite.
        """
        with self._arrived:
            angles, wrist = self._angles, self._wrist
            if at_ns is not None and self._past:
                ns, wrist, angles = min(self._past, key=lambda past: abs(past[0] - at_ns))
                if abs(ns - at_ns) > _STATE_AGE_NS:
                    raise conversions.MessageError(
                        f"the robot's state nearest to the images is {(at_ns - ns) / 1e9:+.2f} s "
                        "off their time"
                    )
        if wrist is None:
            topic = self._node.resolve_topic_name(contract.WRIST_POSE.name)
            raise conversions.MessageError(f"nothing on {topic}")
        palm_pose = conversions.world_pose_from_message(wrist)
        capsules = []
        if all(name in angles for name in self._arm_joints):
            self._arm = self._arm or ArmKinematics()
            capsules = self._arm.capsules(self._joints(angles, self._arm_joints))
        fingers = self._joints(angles, self._finger_joints)
        return robot_distance(self._hand, palm_pose, fingers, capsules)

    def stop_states(self) -> None:
        """Listens no more; the newest are kept."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def _joints(self, angles: Mapping[str, float], names: tuple[str, ...]) -> np.ndarray:
        topic = self._node.resolve_topic_name(contract.JOINT_STATES.name)
        missing = [name for name in names if name not in angles]
        if missing:
            raise conversions.MessageError(f"{topic} lacks {', '.join(missing)}")
        values = np.array([angles[name] for name in names])
        if not np.isfinite(values).all():
            raise conversions.MessageError(f"{topic} is not finite")
        return values

    def _put_joints(self, message: JointState) -> None:
        with self._arrived:
            self._angles.update(zip(message.name, message.position, strict=False))
            self._arrived.notify_all()

    def _put_wrist(self, message: PoseStamped) -> None:
        with self._arrived:
            self._wrist = message
            ns = conversions.stamp_to_ns(message.header.stamp)
            self._past.append((ns, message, dict(self._angles)))
            self._arrived.notify_all()
