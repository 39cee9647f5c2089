"""What an assisting policy does, on /assist/state."""

from __future__ import annotations

from rclpy.node import Node

from dexgrasp_interfaces.msg import AssistState
from dexgrasp_models.control.limits import GuardedController
from dexgrasp_models.control.types import RobotState
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.tasks.assist_controller import AssistReport
from dexgrasp_ros import contract, conversions

_PERIOD = 0.05
"""Seconds between two messages at least: people look at them."""


class AssistOutput:
    """Publishes the reports of the controller that goes on."""

    def __init__(self, node: Node, hand: HandSpec) -> None:
        topic = contract.ASSIST_STATE
        self._actuators = list(hand.actuators)
        self._publisher = node.create_publisher(topic.type, topic.name, topic.qos)
        self._told = -float("inf")

    def tell(self, report: AssistReport, controller: GuardedController, state: RobotState) -> None:
        """To be called at each tick, with the state that was answered."""
        if 0.0 <= state.time - self._told < _PERIOD - 1e-6:
            return
        self._told = state.time
        self._publisher.publish(
            AssistState(
                header=conversions.header(conversions.seconds_to_ns(state.time), conversions.WORLD),
                stage=controller.stage,
                remark=report.remark,
                wrist=conversions.pose_to_message(report.wanted),
                actuators=self._actuators,
                action=report.action.tolist(),
                gradient=[] if report.gradient is None else report.gradient.tolist(),
            )
        )
