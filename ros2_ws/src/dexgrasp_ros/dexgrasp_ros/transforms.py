"""Where frames are in each other, by /tf and /tf_static: the newest, without interpolation."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial

import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from dexgrasp_ros import contract, conversions

_DEPTH = 100
"""Messages kept for each topic: several nodes publish on it."""
_MAX_AGE = 1.0
"""Seconds after which a moving frame that is no longer published is not believed."""


@dataclass(frozen=True)
class _Link:
    parent: str
    pose: np.ndarray
    """(4, 4) of the child in the parent."""
    ns: int | None
    """When that was measured; None where it never changes."""


class Transforms:
    """Subscribes to the transforms and keeps the newest of each frame.

    Args:
        node: subscribes.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._changed = threading.Condition()
        self._links: dict[str, _Link] = {}
        for topic, durability, moves in (
            (contract.TF, DurabilityPolicy.VOLATILE, True),
            (contract.TF_STATIC, DurabilityPolicy.TRANSIENT_LOCAL, False),
        ):
            profile = QoSProfile(
                depth=_DEPTH, history=HistoryPolicy.KEEP_LAST, durability=durability
            )
            node.create_subscription(
                topic.type, topic.name, partial(self._put, moves=moves), profile
            )

    def pose(self, frame: str, timeout: float, parent: str = conversions.WORLD) -> np.ndarray:
        """(4, 4) pose of ``frame`` in ``parent``, waiting up to ``timeout`` s until it is known.

        Raises:
            MessageError: the frames are not connected, or the way between them is out of date.
        """
        frame, parent = frame.lstrip("/"), parent.lstrip("/")
        with self._changed:
            self._changed.wait_for(lambda: self._connects(frame, parent), timeout)
            if not self._connects(frame, parent):
                known = sorted({*self._links, *(link.parent for link in self._links.values())})
                raise conversions.MessageError(
                    f"no transform leads from frame '{frame}' to '{parent}': "
                    + (f"known are {', '.join(known)}" if known else "there are none at all")
                )
            own, others = self._chain(frame), self._chain(parent)
        root_T_frame, root_T_parent = self._placed(own), self._placed(others)
        return np.linalg.inv(root_T_parent) @ root_T_frame

    def _put(self, message: TFMessage, moves: bool) -> None:
        with self._changed:
            for transform in message.transforms:
                child = transform.child_frame_id.lstrip("/")
                parent = transform.header.frame_id.lstrip("/")
                try:
                    pose = conversions.pose_from_transform(transform.transform)
                except conversions.MessageError as error:
                    self._node.get_logger().warning(f"ignored the transform of {child}: {error}")
                    continue
                ns = conversions.stamp_to_ns(transform.header.stamp) if moves else None
                self._links[child] = _Link(parent, pose, ns)
            self._changed.notify_all()

    def _connects(self, frame: str, parent: str) -> bool:
        return self._root(frame) == self._root(parent)

    def _root(self, frame: str) -> str:
        chain = self._chain(frame)
        return chain[-1].parent if chain else frame

    def _chain(self, frame: str) -> list[_Link]:
        """From a frame up to its root; a loop is cut."""
        chain: list[_Link] = []
        while (link := self._links.get(frame)) is not None and len(chain) <= len(self._links):
            chain.append(link)
            frame = link.parent
        return chain

    def _placed(self, chain: list[_Link]) -> np.ndarray:
        """(4, 4) pose of a chain's first frame in its last."""
        now = self._node.get_clock().now().nanoseconds
        placed = np.eye(4)
        for link in chain:
            if link.ns is not None and now - link.ns > conversions.seconds_to_ns(_MAX_AGE):
                age = (now - link.ns) / conversions.NANOSECONDS
                raise conversions.MessageError(
                    f"the newest transform below '{link.parent}' is {age:.1f} s old"
                )
            placed = link.pose @ placed
        return placed
