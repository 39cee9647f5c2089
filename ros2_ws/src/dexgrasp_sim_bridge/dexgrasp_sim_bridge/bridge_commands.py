"""The bridge's two command topics: what is wanted of the robot, within its bounds."""

from __future__ import annotations

import threading
from collections.abc import Callable

from geometry_msgs.msg import PoseStamped
from trajectory_msgs.msg import JointTrajectory

from dexgrasp_models.control.execution import ExecutionLimiter
from dexgrasp_models.control.limits import SafetyLimits
from dexgrasp_models.control.types import Command, RobotState
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_ros import contract
from dexgrasp_ros.command_intake import CommandIntake, Refusal
from dexgrasp_ros.conversions import stamp_to_ns
from dexgrasp_ros.node import ManagedNode
from dexgrasp_ros.sender import Sender, SenderSubscription
from dexgrasp_sim_bridge.bridge_health import BridgeHealth
from dexgrasp_sim_bridge.command_inbox import CommandInbox

SLOWED = 5
"""Control periods in a row that are too short for what is commanded before it is told."""


class BridgeCommands:
    """Takes commands in ROS callbacks, and gives one for each tick of the simulation's thread.

    Args:
        node: subscribes.
        health: is told what is refused.
        hand: whose joints are commanded.
        limits: of every command.
        period: control period, s.
        silence_limit: simulated s after which a silent commander is let go.
        lock_step: whether only answers to the present state count.
        now_ns: the simulation's clock.
    """

    def __init__(
        self,
        node: ManagedNode,
        health: BridgeHealth,
        hand: HandSpec,
        limits: SafetyLimits,
        *,
        period: float,
        silence_limit: float,
        lock_step: bool,
        now_ns: Callable[[], int],
    ) -> None:
        self._node = node
        self._health = health
        self._now_ns = now_ns
        self._limiter = ExecutionLimiter(limits, hand.finger_joints, hand.limits, period)
        self._intake = CommandIntake(
            hand.finger_joints,
            self._limiter,
            command_age=limits.command_age,
            silence_limit=silence_limit,
            lock_step=lock_step,
            is_present=lambda sender: any(each.publishes(sender) for each in self._inputs),
        )
        self._lock = threading.Lock()
        self._refused = self._slowed = 0
        self._inputs = (
            SenderSubscription(node, contract.HAND_COMMAND, self._on_hand_command),
            SenderSubscription(node, contract.WRIST_TARGET, self._on_wrist_target),
        )

    def begin(self, command: Command) -> None:
        """Holds a command, that of the robot as it stands; nobody commands."""
        with self._lock:
            self._limiter.reset(command)
            self._intake.reset()
            self.inbox = CommandInbox(command)

    def end(self) -> None:
        """Nobody commands any more; what was commanded is stopped."""
        with self._lock:
            self._intake.reset()
            self._hold([contract.HAND_COMMAND, contract.WRIST_TARGET])

    def close(self) -> None:
        """Ends the subscriptions."""
        for each in self._inputs:
            each.destroy()

    def measure(self, state: RobotState) -> None:
        """Notes where the robot is."""
        self._limiter.measure(state.wrist_pose, state.joints)

    def next(self) -> Command:
        """The command of this tick."""
        command = self._limiter.step(self.inbox.newest)
        self._slowed = self._slowed + 1 if self._limiter.slowed else 0
        if self._slowed > SLOWED:
            self._health.warn("the commands are faster than the limits allow: slowed down")
        return command

    def wait_for_answer(self, ns: int, timeout: float) -> bool:
        """As of the inbox; the wrist is waited for where it has the same commander."""
        return self.inbox.wait_for_answer(ns, timeout, wrist=self._intake.one_commander)

    def watch(self) -> None:
        """Tells of a commander that has fallen silent, and lets it go after a while."""
        with self._lock:
            now_ns = self._now_ns()
            silent = self._intake.silent(now_ns)
            self._hold(self._intake.end_silence(now_ns))
        if silent is None:
            return
        self._health.warn(
            f"commander silent: {silent.commander} on"
            f" {self._node.resolve_topic_name(silent.topic.name)}",
            seconds_of_silence=f"{silent.seconds:.2f}",
        )

    # ROS callbacks

    def _on_hand_command(self, message: JointTrajectory, sender: Sender) -> None:
        if not self._node.active:
            return
        with self._lock:
            try:
                if message.points:
                    targets = self._intake.finger_targets(message, sender, self._now_ns())
                    self.inbox.put_fingers(_stamp(message), targets)
                else:
                    self._hold(self._intake.let_go(sender))
            except Refusal as refusal:
                self._refuse(refusal)

    def _on_wrist_target(self, message: PoseStamped, sender: Sender) -> None:
        if not self._node.active:
            return
        with self._lock:
            try:
                target = self._intake.wrist_target(message, sender, self._now_ns())
                self.inbox.put_wrist(_stamp(message), target)
            except Refusal as refusal:
                self._refuse(refusal)

    def _hold(self, topics: list[contract.Topic]) -> None:
        """Stops what was commanded: the fingers keep their grip, the wrist stays where it is."""
        hold = self._limiter.holding
        if contract.WRIST_TARGET in topics:
            self.inbox.hold_wrist(hold.wrist_target)
        if contract.HAND_COMMAND in topics:
            self.inbox.hold_fingers(hold.finger_targets)

    def _refuse(self, refusal: Refusal) -> None:
        self._refused += 1
        topic = self._node.resolve_topic_name(refusal.topic.name)
        self._health.warn(
            f"refused a command of {refusal.sender} on {topic}: {refusal.fault.kind}",
            detail=refusal.fault.detail,
            refused=self._refused,
        )


def _stamp(message: JointTrajectory | PoseStamped) -> int:
    return stamp_to_ns(message.header.stamp)
