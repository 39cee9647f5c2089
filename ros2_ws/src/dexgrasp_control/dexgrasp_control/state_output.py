"""What the control node is doing, on /control/state: latched, at every change."""

from __future__ import annotations

import threading

from rclpy.node import Node

from dexgrasp_interfaces.action import Assist
from dexgrasp_interfaces.msg import ControlState
from dexgrasp_models.control.types import Outcome, OutcomeKind
from dexgrasp_ros import contract


def error_code(kind: OutcomeKind) -> int:
    """The code of an action's result for an outcome: `Assist` has all of `ExecuteGrasp`'s."""
    if kind is OutcomeKind.SUCCEEDED:
        return Assist.Result.NONE
    return getattr(Assist.Result, kind.name)


class StateOutput:
    """Publishes the state, from whatever thread it changes in.

    Attributes:
        holding: the last grasp ended with an object in the hand.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._message = ControlState(state=ControlState.INACTIVE)
        topic = contract.CONTROL_STATE
        # Not a lifecycle publisher: that the node is inactive is told, too.
        self._publisher = node.create_publisher(topic.type, topic.name, topic.qos)
        self._publish()

    @property
    def holding(self) -> bool:
        """Whether the last grasp ended with an object in the hand."""
        return self._message.holding

    def enter(self, state: str, moves_wrist: bool = False) -> None:
        """A stage begins, or the node is idle or inactive."""
        with self._lock:
            message = self._message
            if (state, moves_wrist) != (message.state, message.moves_wrist):
                message.state, message.moves_wrist = state, moves_wrist
                self._publish()

    def conclude(self, outcome: Outcome, holding: bool) -> None:
        """A grasp has ended, and the node is idle."""
        with self._lock:
            message = self._message
            message.state, message.holding = ControlState.IDLE, holding
            message.moves_wrist = False
            message.error_code = error_code(outcome.kind)
            message.outcome, message.reason = outcome.kind.value, outcome.reason
            self._publish()

    def released(self) -> None:
        """Nothing is in the hand any more."""
        with self._lock:
            if self._message.holding:
                self._message.holding = False
                self._publish()

    def _publish(self) -> None:
        self._message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(self._message)
