"""Where a tracker sees a hand that is held still, and where the robot's wrist is then."""

from __future__ import annotations

import threading
import time
from collections import deque

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node

from dexgrasp_interfaces.msg import TrackedHand
from dexgrasp_ros import contract, conversions

STILL = 0.5
"""s over which what is seen is averaged."""
_LEAST_FRAMES = 10
_MOVED = 0.005
"""m from their middle, within which a hand or a wrist stands."""


class PlaceError(RuntimeError):
    """There is no place now; the message says what is missing."""


class PlaceTaker:
    """Keeps where hand and wrist were lately.

    Args:
        node: spun by somebody else.
    """

    def __init__(self, node: Node) -> None:
        self._lock = threading.Lock()
        self._hand: deque[tuple[float, np.ndarray]] = deque(maxlen=500)
        self._wrist: deque[tuple[float, np.ndarray]] = deque(maxlen=500)
        self._identity = -1
        for topic, callback in (
            (contract.TRACKED_HAND, self._on_hand),
            (contract.WRIST_POSE, self._on_wrist),
        ):
            node.create_subscription(topic.type, topic.name, callback, topic.qos)

    def hand(self, timeout: float) -> np.ndarray:
        """(3,) position of the tracked wrist in the tracker's frame, m, once it is still.

        Args:
            timeout: s that it may take.

        Raises:
            PlaceError: no hand is seen, or it moves.
        """
        return self._still(self._hand, timeout, "no hand on /leap/hand", "the hand moves")

    def wrist(self, timeout: float) -> np.ndarray:
        """(3,) position of the robot's `rh_palm` in `world`, m; as `hand`."""
        return self._still(self._wrist, timeout, "no wrist on /wrist_pose", "the arm moves")

    def _still(
        self, kept: deque[tuple[float, np.ndarray]], timeout: float, absent: str, moving: str
    ) -> np.ndarray:
        begin = time.monotonic()
        problem = absent
        while time.monotonic() - begin < timeout:
            time.sleep(0.05)
            with self._lock:
                lately = [each for each in kept if each[0] > time.monotonic() - STILL]
            if len(lately) < _LEAST_FRAMES or lately[0][0] < begin:
                problem = absent if not lately else moving
                continue
            points = np.array([point for _, point in lately])
            middle = points.mean(axis=0)
            if time.monotonic() - begin < STILL or (
                np.linalg.norm(points - middle, axis=1).max() > _MOVED
            ):
                problem = moving
                continue
            return middle
        raise PlaceError(problem)

    def _on_hand(self, message: TrackedHand) -> None:
        with self._lock:
            if not message.tracked or message.id != self._identity:
                self._hand.clear()
                self._identity = message.id
            if message.tracked:
                self._hand.append((time.monotonic(), _position(message.wrist)))

    def _on_wrist(self, message: PoseStamped) -> None:
        with self._lock:
            self._wrist.append((time.monotonic(), _position(message.pose)))


def _position(pose: object) -> np.ndarray:
    return conversions.pose_from_message(pose)[:3, 3]
