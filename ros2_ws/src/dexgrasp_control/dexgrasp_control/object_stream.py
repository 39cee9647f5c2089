"""Where the object of a grasp goes, by the clouds that perception streams."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from dexgrasp_control.preparation import GraspEnded, Tell
from dexgrasp_control.service_call import PERIOD
from dexgrasp_models.control.following import Following
from dexgrasp_models.control.types import OutcomeKind
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.conversions import MessageError

_SILENCE = 1.0
"""Seconds of wall time without a cloud, after which it is told."""


class ObjectStream:
    """Listens to ``perception/cloud_stream`` while a grasp is carried out, and not between.

    The newest cloud waits until it is looked at, in the thread of the grasp: registering it takes
    longer than a tick may.

    Args:
        node: subscribes.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._topic = node.resolve_topic_name(contract.CLOUD_STREAM.name)
        self._come = threading.Event()
        self.received = 0
        """How many clouds have come of the present grasp."""

    @contextmanager
    def followed(self, following: Following, since: int) -> Iterator[None]:
        """Clouds newer than a stamp, ns, are taken for `following` within this context."""
        self._following, self._stamp = following, since
        self._newest: PointCloud2 | None = None
        self._come.clear()
        self._heard, self.received = time.monotonic(), 0
        topic = contract.CLOUD_STREAM
        subscription = self._node.create_subscription(topic.type, topic.name, self._put, topic.qos)
        try:
            yield
        finally:
            self._node.destroy_subscription(subscription)

    def await_first(self, tell: Tell, limit: float) -> None:
        """Returns once a cloud has come, and was looked at.

        Raises:
            GraspEnded: none comes within so many seconds, or the grasp is not wanted any more.
        """
        asked = time.monotonic()
        while not self.received:
            tell(f"waiting for a cloud on {self._topic}")
            if time.monotonic() - asked > limit:
                raise GraspEnded(
                    OutcomeKind.STALE_INPUT,
                    "the goal is to go along with the object (follow.enabled), but no cloud came on"
                    f" {self._topic} within {limit:g} s: is stream_rate of perception 0?",
                )
            time.sleep(PERIOD)
        self.look()

    def wait(self) -> None:
        """Returns once a cloud has come that was not looked at, or after a moment."""
        self._come.wait(PERIOD)

    def look(self) -> str:
        """Lets the goal go along with the newest cloud; why it stays instead, or nothing."""
        following = self._following
        self._come.clear()
        message, self._newest = self._newest, None
        if message is not None:
            try:
                following.see(conversions.cloud_from_message(message)[0])
            except MessageError as error:
                following.miss(f"a bad cloud on {self._topic}: {error}")
        elif (silence := time.monotonic() - self._heard) > _SILENCE:
            following.miss(f"no cloud on {self._topic} for {silence:.1f} s")
        if following.over or not following.doubt:
            return ""
        return f"the goal stays: {following.doubt}"

    def _put(self, message: PointCloud2) -> None:
        stamp = conversions.stamp_to_ns(message.header.stamp)
        if stamp <= self._stamp:
            return
        self._stamp, self._newest = stamp, message
        self._heard = time.monotonic()
        self.received += 1
        self._come.set()


def ended_after_a_moment(ended: threading.Event, stream: ObjectStream | None) -> bool:
    """Whether something has ended; a cloud that comes to a stream cuts the moment short."""
    if stream is None:
        return ended.wait(PERIOD)
    stream.wait()
    return ended.is_set()
