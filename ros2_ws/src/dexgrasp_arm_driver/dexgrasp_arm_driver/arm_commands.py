"""Targets of the wrist on their way from the graph to the arm: who may give them, and which."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import PoseStamped
from trajectory_msgs.msg import JointTrajectory

from dexgrasp_arm_driver.arm_status import ArmStatus
from dexgrasp_models.control.execution import ExecutionLimiter
from dexgrasp_models.control.limits import SafetyLimits
from dexgrasp_models.control.types import Command
from dexgrasp_ros import contract
from dexgrasp_ros.command_intake import CommandIntake, Refusal
from dexgrasp_ros.node import ManagedNode
from dexgrasp_ros.sender import Sender, SenderSubscription

_NO_FINGERS = np.empty(0)


class ArmCommands:
    """Takes the wrist's targets as the simulator does.

    `measure` and `reset` may be called from any thread, the others by the executor's.

    Args:
        node: subscribes.
        status: tells what is refused, and whether the arm is stopped.
        limits: of every command.
        silence_limit: s after which a silent commander is let go.
        on_target: is given each (4, 4) pose of the palm in `world` that is to be gone to.
        on_hold: is called where the commander has let go, or has been let go.
    """

    def __init__(
        self,
        node: ManagedNode,
        status: ArmStatus,
        limits: SafetyLimits,
        *,
        silence_limit: float,
        on_target: Callable[[np.ndarray], None],
        on_hold: Callable[[], None],
    ) -> None:
        self._node = node
        self._status = status
        self._on_target = on_target
        self._on_hold = on_hold
        self._refused = 0
        self._lock = threading.Lock()
        self._limiter = ExecutionLimiter(limits, (), np.empty((0, 2)), 1.0 / contract.CONTROL_RATE)
        self._intake = CommandIntake(
            (),
            self._limiter,
            command_age=limits.command_age,
            silence_limit=silence_limit,
            lock_step=False,
            is_present=lambda sender: any(each.publishes(sender) for each in self._inputs),
        )
        self._inputs = (
            SenderSubscription(node, contract.WRIST_TARGET, self._on_wrist_target),
            SenderSubscription(node, contract.HAND_COMMAND, self._on_hand_command),
        )

    def reset(self) -> None:
        """Nobody commands, as at the start."""
        with self._lock:
            self._intake.reset()

    def measure(self, palm: np.ndarray) -> None:
        """Notes where the palm is: (4, 4) pose in `world`."""
        with self._lock:
            self._limiter.reset(Command(palm, _NO_FINGERS))

    def watch(self) -> None:
        """Tells of a commander that has fallen silent, and lets it go after a while."""
        with self._lock:
            silent = self._intake.silent(self._now_ns)
            freed = self._intake.end_silence(self._now_ns)
        self._hold(freed)
        if silent is not None:
            self._status.warn(
                f"commander silent: {silent.commander} on"
                f" {self._node.resolve_topic_name(silent.topic.name)}",
                seconds_of_silence=f"{silent.seconds:.2f}",
            )

    def close(self) -> None:
        """Ends the subscriptions."""
        for each in self._inputs:
            each.destroy()

    @property
    def _now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds

    def _on_wrist_target(self, message: PoseStamped, sender: Sender) -> None:
        if not self._node.active:
            return
        topic = self._node.resolve_topic_name(contract.WRIST_TARGET.name)
        if self._status.stop:
            self._node.get_logger().warning(
                f"refused a command of {sender} on {topic}: the arm is stopped"
                f" ({self._status.stop})",
                throttle_duration_sec=2.0,
            )
            return
        try:
            with self._lock:
                target = self._intake.wrist_target(message, sender, self._now_ns)
        except Refusal as refusal:
            self._refused += 1
            self._status.warn(
                f"refused a command of {refusal.sender} on {topic}: {refusal.fault.kind}",
                detail=refusal.fault.detail,
                refused=self._refused,
            )
            return
        self._on_target(target)

    def _on_hand_command(self, message: JointTrajectory, sender: Sender) -> None:
        """A command without points lets go of the wrist too; others are the hand's matter."""
        if not self._node.active or message.points:
            return
        with self._lock:
            freed = self._intake.let_go(sender)
        self._hold(freed)

    def _hold(self, freed: list[contract.Topic]) -> None:
        if contract.WRIST_TARGET in freed:
            self._on_hold()
