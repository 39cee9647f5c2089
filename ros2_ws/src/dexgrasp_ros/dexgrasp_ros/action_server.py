"""An action server that can give a result without waiting for the executor's next turn."""

from __future__ import annotations

from typing import Any

import rclpy.action
from action_msgs.msg import GoalStatus
from rclpy.action.server import GoalEvent, ServerGoalHandle


class ActionServer(rclpy.action.ActionServer):
    """rclpy's server for goals that are carried out beside the executor.

    rclpy gives the result in a task of the executor, whose next turn never comes in a node that is
    being ended: the client would wait for ever.
    """

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
