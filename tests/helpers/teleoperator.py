"""A person with a tracker and a clutch on the graph: speaks before each answer of the node."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Joy

from dexgrasp_interfaces.msg import TrackedHand
from dexgrasp_ros import contract, conversions

FRAME_NS = 10_000_000
"""Between two frames of the tracker, whatever time it takes here."""


class Teleoperator:
    """
    Args:
        node: publishes.

    Attributes:
        hand: (4, 4) in the tracker's frame.
        pressed: whether the clutch is.
        tracked: whether the hand is in sight.
        identity: of the hand.
        sees: whether the tracker speaks.
        hears: whether the clutch speaks.
        buttons: how many it has.
    """

    def __init__(self, node: Node) -> None:
        self._hands, self._clutch = (
            node.create_publisher(topic.type, topic.name, topic.qos)
            for topic in (contract.TRACKED_HAND, contract.CLUTCH)
        )
        self._frame = 0
        self.hand = np.eye(4)
        self.hand[:3, :3] = Rotation.from_rotvec([0.3, 0.2, -0.1]).as_matrix()
        self.pressed, self.tracked, self.sees, self.hears = False, True, True, True
        self.identity, self.buttons = 3, 1

    @property
    def connected(self) -> bool:
        """Whether somebody listens."""
        return bool(self._hands.get_subscription_count() and self._clutch.get_subscription_count())

    def speak(self) -> None:
        """A frame of the tracker, and a word of the clutch."""
        self._frame += 1
        if self.sees:
            self._hands.publish(
                TrackedHand(
                    header=conversions.header(self._frame * FRAME_NS, "leap"),
                    tracked=self.tracked,
                    id=self.identity,
                    confidence=1.0,
                    wrist=conversions.pose_to_message(self.hand),
                )
            )
        if self.hears:
            self._clutch.publish(Joy(buttons=[int(self.pressed)] * self.buttons))


class FollowingWrist:
    """A robot's wrist that is where it is wanted, at the contract's rate; the teleoperator speaks.

    Attributes:
        measured: (4, 4) where it is.
        follows: whether it does; else it stands.
        wanted: poses on /teleop/wrist, as they came.
        stamps: of them, ns.
    """

    PERIOD_NS = 20_000_000

    def __init__(self, node: Node, person: Teleoperator, start: np.ndarray) -> None:
        topic = contract.WRIST_POSE
        self._publisher = node.create_publisher(topic.type, topic.name, topic.qos)
        topic = contract.TELEOP_WRIST
        node.create_subscription(topic.type, topic.name, self._follow, topic.qos)
        self._person, self._ns = person, 1_000_000_000
        self.measured, self.follows = start, True
        self.wanted: list[np.ndarray] = []
        self.stamps: list[int] = []
        self.sent: list[int] = []
        self._timer = node.create_timer(self.PERIOD_NS * 1e-9, self._tick)

    def _tick(self) -> None:
        self._person.speak()
        self._ns += self.PERIOD_NS
        self.sent.append(self._ns)
        self._publisher.publish(
            conversions.pose_stamped(self.measured, self._ns, conversions.WORLD)
        )

    def _follow(self, message: PoseStamped) -> None:
        wanted = conversions.world_pose_from_message(message)
        if self.follows:
            self.measured = wanted
        self.wanted.append(wanted)
        self.stamps.append(conversions.stamp_to_ns(message.header.stamp))
