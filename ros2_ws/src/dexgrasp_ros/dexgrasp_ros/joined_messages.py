"""Messages of several topics that belong together, as they have the same stamp."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rclpy.node import Node

from dexgrasp_ros import conversions
from dexgrasp_ros.contract import Topic

_KEPT_INCOMPLETE = 20
"""Stamps for which messages are awaited; older ones are given up."""


class JoinedMessages:
    """Hands on a message of each topic, in the order of their stamps.

    Args:
        node: subscribes.
        topics: whose messages have headers.
        take: gets the stamp, ns, and the messages by the topics' names. Calls don't overlap.
    """

    def __init__(
        self,
        node: Node,
        topics: Sequence[Topic],
        take: Callable[[int, dict[str, Any]], None],
    ) -> None:
        self._count = len(topics)
        self._take = take
        self._lock = threading.Lock()
        self._incomplete: dict[int, dict[str, Any]] = {}
        self._last = -1
        for topic in topics:
            put = partial(self._put, topic.name)
            node.create_subscription(topic.type, topic.name, put, topic.qos)

    def _put(self, name: str, message: Any) -> None:
        stamp = conversions.stamp_to_ns(message.header.stamp)
        with self._lock:
            if stamp <= self._last:
                return  # a simulator repeats a moment at which it waits
            parts = self._incomplete.setdefault(stamp, {})
            parts[name] = message
            if len(parts) < self._count:
                while len(self._incomplete) > _KEPT_INCOMPLETE:
                    del self._incomplete[min(self._incomplete)]
                return
            self._last = stamp
            self._incomplete = {
                later: kept for later, kept in self._incomplete.items() if later > stamp
            }
            self._take(stamp, parts)
