"""Views for a calibration by the arm, from the running graph, while the wrist stands still."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from functools import partial

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import Image

from dexgrasp_models.control.trajectory import pose_distance
from dexgrasp_models.perception.hand_eye import View
from dexgrasp_ros import contract, conversions, image_messages
from dexgrasp_ros.qos import image_request

STILL = 0.5
"""s for which the wrist has to have stood before an image and until it is taken."""
_MOVED = (0.0005, 0.002)
"""m and rad within which a wrist stands."""


class ViewError(RuntimeError):
    """There is no view now; the message says what is missing."""


class ViewTaker:
    """Keeps the newest image of each camera, and where the wrist was.

    Args:
        node: spun by somebody else.
        cameras: names.
    """

    def __init__(self, node: Node, cameras: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._wrists: deque[tuple[int, np.ndarray]] = deque(maxlen=500)
        self._images: dict[str, Image] = {}
        self._node, self._cameras = node, tuple(cameras)
        self._asked: set[str] = set()
        wrist = contract.WRIST_POSE
        node.create_subscription(wrist.type, wrist.name, self._on_wrist, wrist.qos)

    def take(self, name: str, timeout: float) -> View:
        """A view of the next moment at which the wrist stands, or of just before.

        Args:
            name: of the view.
            timeout: s that it may take.

        Raises:
            ViewError: what did not come within that time.
            conversions.MessageError: an image can't be read.
        """
        deadline = time.monotonic() + timeout
        self._ask()
        while (problem := self._lacking()) and time.monotonic() < deadline:
            time.sleep(0.05)
            self._ask()
        if problem:
            raise ViewError(problem)
        with self._lock:
            palm = self._wrists[-1][1]
            images = dict(self._images)
        return View(
            name, palm, {n: image_messages.color_from_message(m) for n, m in images.items()}
        )

    def _ask(self) -> None:
        """For images, as they are offered, of the cameras that weren't asked yet."""
        for name in set(self._cameras) - self._asked:
            topic = contract.color_image(name)
            if self._node.count_publishers(topic.name):
                request = image_request(self._node, topic.name)
                take = partial(self._on_image, name)
                self._node.create_subscription(topic.type, topic.name, take, request)
                self._asked.add(name)

    def _lacking(self) -> str:
        with self._lock:
            if not self._wrists:
                return "no wrist on /wrist_pose: is the arm's driver there?"
            since = self._still_since_ns()
            newest = self._wrists[-1][0]
            if newest - since < STILL * conversions.NANOSECONDS:
                return "the wrist moves: let the arm stand"
            absent = [
                name
                for name in self._cameras
                if name not in self._images
                or conversions.stamp_to_ns(self._images[name].header.stamp)
                < since + 0.5 * STILL * conversions.NANOSECONDS
            ]
            return f"no new color image of {', '.join(absent)}" if absent else ""

    def _still_since_ns(self) -> int:
        """When the newest wrist has come to where it is."""
        newest = self._wrists[-1][1]
        since = self._wrists[-1][0]
        for ns, pose in reversed(self._wrists):
            if any(d > most for d, most in zip(pose_distance(newest, pose), _MOVED, strict=True)):
                break
            since = ns
        return since

    def _on_wrist(self, message: PoseStamped) -> None:
        pose = conversions.world_pose_from_message(message)
        with self._lock:
            self._wrists.append((conversions.stamp_to_ns(message.header.stamp), pose))

    def _on_image(self, name: str, message: Image) -> None:
        with self._lock:
            self._images[name] = message
