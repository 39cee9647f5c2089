"""An action client that may be called from a thread other than the executor's."""

from __future__ import annotations

import threading
from typing import Any

import rclpy.action
from rclpy.node import Node
from rclpy.task import Future


class ActionClient(rclpy.action.ActionClient):
    """rclpy's client, whose requests are noted before their responses are handled.

    rclpy 7.1.6 sends a request first and notes it afterwards. A response that another thread
    handles in between is lost, or raises there or here, and ends that thread (rclpy's issue 1123,
    mended after this release). A lock around both closes the gap.
    """

    def __init__(self, node: Node, action_type: Any, action_name: str) -> None:
        # Callbacks of a response may send the next request.
        self._between_request_and_response = threading.RLock()
        super().__init__(node, action_type, action_name)

    def send_goal_async(self, *args: Any, **kwargs: Any) -> Future:
        """As rclpy's."""
        with self._between_request_and_response:
            return super().send_goal_async(*args, **kwargs)

    def _get_result_async(self, goal_handle: Any) -> Future:
        with self._between_request_and_response:
            return super()._get_result_async(goal_handle)

    def _cancel_goal_async(self, goal_handle: Any) -> Future:
        with self._between_request_and_response:
            return super()._cancel_goal_async(goal_handle)

    async def execute(self, taken_data: Any) -> None:
        """Handles responses, and feedback, for which callbacks must be functions that return."""
        with self._between_request_and_response:
            await super().execute(taken_data)
