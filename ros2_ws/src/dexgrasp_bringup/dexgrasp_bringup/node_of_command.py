"""A node for a command that talks to the running graph."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from dexgrasp_ros.transport import use_transport_profile


@contextlib.contextmanager
def node_of_command(name: str, namespace: str) -> Iterator[Node]:
    """A node in a context of its own; signals stay the command's."""
    use_transport_profile()
    context = rclpy.Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = Node(name, context=context, namespace=namespace)
    try:
        yield node
    finally:
        node.destroy_node()
        context.try_shutdown()
