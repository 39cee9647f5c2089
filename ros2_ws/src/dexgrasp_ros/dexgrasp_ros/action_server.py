"""An action server that can give a result without waiting for the executor's next turn."""

from __future__ import annotations

import math
import time
from typing import Any

import rclpy.action
from action_msgs.msg import GoalStatus
from rclpy.action.server import GoalEvent, ServerGoalHandle

LINGER = 0.5
"""Seconds of wall time that a result is given to arrive before its server goes."""


class ActionServer(rclpy.action.ActionServer):
    """rclpy's server for goals that are carried out beside the executor.

    rclpy gives the result in a task of the executor, whose next turn never comes in a node that is
    being ended: the client would wait for ever.

    A server does not go right after a result either. DDS tells by another way that a sender has
    gone than what it has sent, and a busy client that hears of the first before it has read the
    second throws that away; nothing tells a service's server that its answer has been read.
    """

    _concluded_at = -math.inf

    def conclude(self, goal: ServerGoalHandle, event: GoalEvent, result: Any) -> None:
        """Ends a goal and sends its result at once; to be called by the executor's thread.

        Args:
            goal: accepted, and not ended yet.
            event: `SUCCEED`, `ABORT` or `CANCELED`.
            result: of the action's type.
        """
        if goal.status == GoalStatus.STATUS_ACCEPTED:
            goal._update_state(GoalEvent.EXECUTE)
        goal._update_state(event)
        response = self._action_type.Impl.GetResultService.Response(
            status=goal.status, result=result
        )
        answer = self._result_futures[bytes(goal.goal_id.uuid)]
        answer._set_executor(None)
        answer.set_result(response)
        self._concluded_at = time.monotonic()

    def add_to_wait_set(self, wait_set: Any) -> None:
        """Adds what is waited for.

        rclpy's executor asks a server that another thread has just destroyed, too; what it is told
        by then is any error of rcl, which `SpinningThread` can't know from others.

        Raises:
            InvalidHandle: the server has been destroyed.
        """
        with self:
            super().add_to_wait_set(wait_set)

    def destroy(self) -> None:
        """Ends the server, once a result that was just given has had time to arrive."""
        time.sleep(max(0.0, self._concluded_at + LINGER - time.monotonic()))
        super().destroy()
