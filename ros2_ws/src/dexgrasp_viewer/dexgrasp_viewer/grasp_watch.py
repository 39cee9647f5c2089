"""Follows every grasp of the graph, whoever asked for it, through the action's own topics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from action_msgs.msg import GoalStatusArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_action_status_default
from rclpy.task import Future

from dexgrasp_ros import contract
from dexgrasp_ros.asked import Asked


class GraspWatch:
    """Tells the stage of an action's grasp that is going on, and the outcome of the last one.

    An action's feedback and status are topics, and its result can be asked for by anyone who knows
    the goal's id; so no grasp need be started here to be seen here.
    """

    def __init__(self, node: Node, kind: Any, tell: Callable[[str], None]) -> None:
        """Calls `tell` with a line of text at each change, in the node's executor.

        `kind` is the type of the action, one of `contract.ACTIONS`.
        """
        self._tell = tell
        self._seen: set[bytes] = set()
        self._awaited: dict[Future, Asked] = {}
        self._node = node
        action = f"{contract.ACTIONS[kind]}/_action"
        self._status_topic = f"{action}/status"
        node.create_subscription(
            kind.Impl.FeedbackMessage,
            f"{action}/feedback",
            self._on_feedback,
            QoSProfile(depth=10),
        )
        node.create_subscription(
            GoalStatusArray,
            self._status_topic,
            self._on_status,
            qos_profile_action_status_default,
        )
        self._kind = kind
        self._results = node.create_client(kind.Impl.GetResultService, f"{action}/get_result")

    def _on_feedback(self, message: Any) -> None:
        feedback = message.feedback
        remark = f": {feedback.message}" if feedback.message else ""
        self._tell(f"{feedback.stage}, {feedback.progress:.0%}{remark}")

    def _on_status(self, message: GoalStatusArray) -> None:
        for status in message.status_list:
            goal = status.goal_info.goal_id
            identity = bytes(goal.uuid)
            if identity not in self._seen and self._results.service_is_ready():
                self._seen.add(identity)
                # Answered when the goal has ended.
                request = self._kind.Impl.GetResultService.Request(goal_id=goal)
                answer = self._results.call_async(request)
                self._awaited[answer] = Asked(self._node, self._status_topic)
                answer.add_done_callback(self._on_result)

    def look(self) -> None:
        """To be called now and then: tells where a grasp has lost the node that carried it out."""
        ready = self._results.service_is_ready()
        lost = [answer for answer, asked in self._awaited.items() if not ready or asked.gone]
        for answer in lost:
            self._results.remove_pending_request(answer)
            del self._awaited[answer]
        if lost:
            self._tell("the control node is gone, and how its grasp ended is not known")

    def _on_result(self, future: Future) -> None:
        self._awaited.pop(future, None)
        result = future.result().result
        if result.outcome:
            self._tell(f"{result.outcome}: {result.reason}" if result.reason else result.outcome)
