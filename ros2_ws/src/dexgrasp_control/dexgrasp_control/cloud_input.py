"""The newest clouds of object and scene, in pairs of one capture."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from dexgrasp_ros import contract, conversions
from dexgrasp_ros.conversions import MessageError


class CloudInput:
    """Subscribes to both clouds and keeps the newest pair with equal stamps."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._changed = threading.Condition()
        self._newest: dict[str, tuple[int, np.ndarray]] = {}
        self._pair: tuple[int, np.ndarray, np.ndarray] | None = None
        self._received = 0
        for topic in (contract.OBJECT_CLOUD, contract.SCENE_CLOUD):
            node.create_subscription(
                PointCloud2,
                topic.name,
                partial(self._put, topic.name),
                topic.qos,
            )

    @property
    def received(self) -> int:
        """How many pairs have come."""
        return self._received

    @property
    def stamp(self) -> int:
        """Stamp of the newest pair in nanoseconds, -1 before the first."""
        return self._pair[0] if self._pair else -1

    @property
    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Points of the object (N, 3) and of the scene (M, 3) in the world, float32."""
        assert self._pair is not None
        return self._pair[1], self._pair[2]

    def wait_for_newer(self, received: int, timeout: float) -> bool:
        """Waits until more than ``received`` pairs have come; False after ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._received > received, timeout)

    def _put(self, name: str, message: PointCloud2) -> None:
        try:
            points, _ = conversions.cloud_from_message(message)
        except MessageError as error:
            topic = self._node.resolve_topic_name(name)
            self._node.get_logger().warning(f"ignored a cloud on {topic}: {error}")
            return
        with self._changed:
            self._newest[name] = conversions.stamp_to_ns(message.header.stamp), points
            if len(self._newest) < 2:
                return
            (object_ns, object_points), (scene_ns, scene_points) = (
                self._newest[topic.name] for topic in (contract.OBJECT_CLOUD, contract.SCENE_CLOUD)
            )
            if object_ns == scene_ns:
                self._pair = object_ns, object_points, scene_points
                self._received += 1
                self._changed.notify_all()
