"""Nodes that spin in a thread beside ordinary code."""

from __future__ import annotations

import contextlib
import threading
from typing import Self

from rclpy.context import Context
from rclpy.exceptions import InvalidHandle
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from dexgrasp_ros.executor import NodeExecutor

SPIN_PERIOD = 0.5
"""Seconds after which a spinning thread looks whether it is to end, if nothing wakes it."""


class SpinningThread:
    """Nodes whose callbacks run in a thread, until it is stopped.

    The executor is shut down after its thread has ended. rclpy's own order, the other way round,
    destroys the guard condition that the thread is about to wait for, which raises there.

    Args:
        nodes: spun; they are the caller's to destroy, after `stop`.
        context: of the nodes.
        name: of the thread.
    """

    def __init__(self, *nodes: Node, context: Context | None = None, name: str = "spin") -> None:
        self._executor = NodeExecutor(context=context)
        for node in nodes:
            self._executor.add_node(node)
        self._stopping = False
        self._thread = threading.Thread(target=self._spin, name=name, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def alive(self) -> bool:
        """Whether callbacks still run: an exception in one ends the thread."""
        return self._thread.is_alive()

    def stop(self, timeout: float | None = None) -> bool:
        """Has the thread end after the callback that it is in; False if it has not by then.

        Args:
            timeout: seconds to wait for that; None: as long as it takes.
        """
        self._stopping = True
        with contextlib.suppress(InvalidHandle):  # it has just ended by itself
            self._executor.wake()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _spin(self) -> None:
        try:
            with contextlib.suppress(ExternalShutdownException):
                while not self._stopping:
                    # Another thread may destroy what this one is about to wait for.
                    with contextlib.suppress(InvalidHandle):
                        self._executor.spin_once(timeout_sec=SPIN_PERIOD)
        finally:
            self._executor.shutdown()
