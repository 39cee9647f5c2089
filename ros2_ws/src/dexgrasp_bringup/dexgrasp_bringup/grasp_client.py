"""A client of the running graph: waits for its nodes, and sends goals of /grasp and /assist."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import rclpy
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.context import Context
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from std_srvs.srv import Trigger

from dexgrasp_interfaces.action import Assist, ExecuteGrasp
from dexgrasp_ros import contract
from dexgrasp_ros.action_client import ActionClient
from dexgrasp_ros.asked import Asked
from dexgrasp_ros.spinning import SpinningThread
from dexgrasp_ros.transport import use_transport_profile

_LOOK_PERIOD = 0.25
"""Seconds between two looks at whether the server is still there."""
_LOST_AFTER = 1.0
"""Seconds for which a server must be away to count as lost."""


class GoalRefused(RuntimeError):
    """The control node did not take the goal."""


class ServerLost(RuntimeError):
    """The control node has gone, and the goal's result will not come."""


class GraspClient:
    """Talks to a running graph from ordinary, blocking code.

    Use as a context manager: callbacks run in a thread of their own until it is left.

    Attributes:
        node: to subscribe to whatever else is of interest.
    """

    def __init__(self, domain_id: int) -> None:
        use_transport_profile()
        self._context = Context()
        rclpy.init(
            context=self._context,
            domain_id=domain_id,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        self.node = Node("grasp_client", context=self._context)
        self._states: dict[str, Any] = {}
        self._clients = {
            kind.Goal: (ActionClient(self.node, kind, name), self.node.resolve_topic_name(name))
            for kind, name in contract.ACTIONS.items()
        }
        self._spinning: SpinningThread | None = None

    def __enter__(self) -> Self:
        self._spinning = SpinningThread(self.node, context=self._context, name="grasp client")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._spinning is not None
        self._spinning.stop(timeout=2.0)
        self.node.destroy_node()
        self._context.try_shutdown()

    def inactive(self, names: Sequence[str], timeout: float) -> list[str]:
        """Which of these lifecycle nodes are not active (yet); waits up to `timeout` s for each."""
        return [name for name in names if not self._is_active(name, timeout)]

    def grasp(
        self,
        goal: ExecuteGrasp.Goal | Assist.Goal,
        on_feedback: Callable[[ExecuteGrasp.Feedback | Assist.Feedback], None],
    ) -> GraspRun:
        """Sends a goal to the action that it is of.

        Args:
            goal: a grasp, or the wish that one is chosen; or that a person is assisted.
            on_feedback: called from another thread.

        Raises:
            GoalRefused: the control node refused it, or is not there.
        """
        client, action = self._clients[type(goal)]
        if not client.wait_for_server(timeout_sec=10.0):
            raise GoalRefused(f"{action} is not there")
        sent = client.send_goal_async(
            goal, feedback_callback=lambda message: on_feedback(message.feedback)
        )
        if not _wait(sent, 10.0):
            raise GoalRefused(f"{action} did not answer in 10 s")
        if not sent.result().accepted:
            raise GoalRefused(f"{action} refused the goal: is a grasp running?")
        return GraspRun(sent.result(), client, action, Asked(self.node, f"{action}/_action/status"))

    def resume(self, service: str, timeout: float) -> str:
        """A person's word that a stopped driver may go on; why it can't, empty if it does.

        Args:
            service: of the driver.
            timeout: s that its answer may take.
        """
        client = self.node.create_client(Trigger, service)
        try:
            if not client.wait_for_service(timeout_sec=timeout):
                return f"{service} is not there"
            answer = client.call_async(Trigger.Request())
            if not _wait(answer, timeout):
                return f"{service} did not answer in {timeout:g} s"
            response = answer.result()
            return "" if response.success else response.message
        finally:
            self.node.destroy_client(client)

    def _is_active(self, name: str, timeout: float) -> bool:
        service = f"{name}/get_state"
        client = self._states.get(name) or self.node.create_client(GetState, service)
        self._states[name] = client
        if not client.wait_for_service(timeout_sec=timeout):
            return False
        answer = client.call_async(GetState.Request())
        if not _wait(answer, timeout):
            client.remove_pending_request(answer)
            return False
        return answer.result().current_state.id == State.PRIMARY_STATE_ACTIVE


class GraspRun:
    """A goal that the control node is carrying out."""

    def __init__(self, goal: Any, client: ActionClient, action: str, asked: Asked) -> None:
        self._goal = goal
        self._asked = asked
        self._client = client
        self._action = action
        self._answer: Future = goal.get_result_async()
        self._lost_since: float | None = None

    def wait(self, timeout: float) -> bool:
        """Whether it has ended, waiting up to `timeout` s.

        Raises:
            ServerLost: whoever was to answer has left the graph.
        """
        deadline = time.monotonic() + timeout
        while not _wait(self._answer, min(_LOOK_PERIOD, max(deadline - time.monotonic(), 0.0))):
            if self._is_lost():
                raise ServerLost(
                    f"{self._action} has gone without an answer: the control node has ended."
                    " Whoever executes its commands holds the robot where it is"
                )
            if time.monotonic() >= deadline:
                return False
        return True

    def _is_lost(self) -> bool:
        """Whether the server has been away for a while: the answer of one that ends comes first."""
        now = time.monotonic()
        if self._client.server_is_ready() and not self._asked.gone:
            self._lost_since = None
        elif self._lost_since is None:
            self._lost_since = now
        return self._lost_since is not None and now - self._lost_since > _LOST_AFTER

    @property
    def result(self) -> ExecuteGrasp.Result | Assist.Result:
        """How it ended."""
        return self._answer.result().result

    def cancel(self) -> None:
        """Asks for the motion to stop."""
        _wait(self._goal.cancel_goal_async(), 2.0)


def _wait(future: Future, timeout: float) -> bool:
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    return done.wait(timeout)
