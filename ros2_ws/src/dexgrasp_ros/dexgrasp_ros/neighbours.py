"""Other nodes where there should be none: two graphs with the same names are told, and refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rclpy.node import Node

from dexgrasp_ros.contract import Topic

LEAVING_TIME = 3.0
"""Seconds that a predecessor has to leave, before its successor is refused."""
DISCOVERY_TIME = 10.0
"""Seconds after which a node knows those that were there before it. A participant of Fast DDS
announces itself every 3 s; on a busy machine some announcements are late or lost."""
POLL_PERIOD = 0.05

_HINT = (
    "stop it, or give this graph a namespace (launch argument namespace:=, remapping __ns:=) or a"
    " ROS_DOMAIN_ID of its own"
)


class NeighbourError(ValueError):
    """Another node has this one's place; the message names it and says what to do."""


class Neighbours:
    """The other nodes of the domain, as far as they have been discovered.

    A node that was killed is not among them for one that starts after it: only the living announce
    themselves.

    Args:
        node: whose place it is about.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._created = time.monotonic()
        self._seen_since: float | None = None

    def refuse_twin(self) -> None:
        """Waits for a node of the same full name to leave.

        Raises:
            NeighbourError: it does not, within `LEAVING_TIME`.
        """
        self._wait_until_left(self._twin)

    def refuse_publishers(self, topics: Sequence[Topic]) -> None:
        """Waits until nobody but this node publishes any of `topics`.

        Raises:
            NeighbourError: somebody still does after `LEAVING_TIME`.
        """
        self._wait_until_left(lambda: self.other_publisher(topics))

    def other_publisher(self, topics: Sequence[Topic]) -> str | None:
        """Who else publishes any of `topics`, as far as is known, and what to do; or None."""
        own = (self._node.get_name(), self._node.get_namespace())
        for topic in topics:
            for end in self._node.get_publishers_info_by_topic(topic.name):
                if (end.node_name, end.node_namespace) != own:
                    name = self._node.resolve_topic_name(topic.name)
                    other = f"{end.node_namespace.rstrip('/')}/{end.node_name}"
                    return f"{name} is published by {other} already: {_HINT}"
        return None

    def watch(self) -> NeighbourError | None:
        """Looks again, for a twin that was discovered late; to be called about once a second.

        Returns:
            The reason to end, where the other is there to stay and was there first, as far as can
            be known: this one did not know it when it started. Whoever is longer there goes on, and
            logs the other.
        """
        problem = self._twin()
        if problem is None:
            self._seen_since = None
            return None
        now = time.monotonic()
        if self._seen_since is None:
            self._seen_since = now
            self._node.get_logger().error(problem)
        young = self._seen_since - self._created < DISCOVERY_TIME
        return NeighbourError(problem) if young and now - self._seen_since > LEAVING_TIME else None

    def _wait_until_left(self, find_problem: Callable[[], str | None]) -> None:
        deadline = time.monotonic() + LEAVING_TIME
        while problem := find_problem():
            if time.monotonic() > deadline:
                raise NeighbourError(problem)
            time.sleep(POLL_PERIOD)

    def _twin(self) -> str | None:
        own = (self._node.get_name(), self._node.get_namespace())
        if self._node.get_node_names_and_namespaces().count(own) < 2:
            return None
        name = self._node.get_fully_qualified_name()
        return f"another node named {name} runs in this ROS domain: {_HINT}"
