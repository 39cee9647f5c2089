"""Whether the node that was asked for something is still the one that is there.

A node that was killed stays in the graph until its lease ends (20 s with Fast DDS), and another
that is started in its place meanwhile offers the same services, but knows nothing of what the first
was asked. ROS does not say who offers a service; of a topic it says who publishes it.
"""

from __future__ import annotations

from rclpy.node import Node


class Asked:
    """Who published a topic at the time of a request, to see whether an answer can still come.

    Args:
        node: looks.
        topic: that whoever answers publishes all the time.
        server: full name of the node that answers; None: whoever publishes the topic.
    """

    def __init__(self, node: Node, topic: str, server: str | None = None) -> None:
        self._node = node
        self._topic = topic
        self._server = server
        self._at_request = self._present()

    @property
    def gone(self) -> bool:
        """Whether they have left, or another has come in their place."""
        present = self._present()
        if not self._at_request:  # not discovered yet
            self._at_request = present
        at_request = self._at_request
        return bool(at_request) and (present.isdisjoint(at_request) or not present <= at_request)

    def _present(self) -> frozenset[bytes]:
        """Identifiers of their publishers."""
        return frozenset(
            bytes(end.endpoint_gid)
            for end in self._node.get_publishers_info_by_topic(self._topic)
            if self._server in (None, f"{end.node_namespace.rstrip('/')}/{end.node_name}")
        )
