"""Commands on their way from the graph to the hand: who may give them, and how far a tick goes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from trajectory_msgs.msg import JointTrajectory

from dexgrasp_models.control.execution import ExecutionLimiter, Fault
from dexgrasp_models.control.limits import SafetyLimits
from dexgrasp_models.control.types import Command
from dexgrasp_models.hand.vendor_joints import VendorJoints
from dexgrasp_ros import contract
from dexgrasp_ros.command_intake import CommandIntake, Refusal
from dexgrasp_ros.conversions import stamp_to_ns
from dexgrasp_ros.health import Health
from dexgrasp_ros.node import ManagedNode
from dexgrasp_ros.sender import Sender, SenderSubscription

SLOWED = 5
"""Ticks in a row that are too short for what is commanded before it is told."""
_PALM = np.eye(4)
"""The limiter has a wrist too; the arm's is not our matter."""


class HandCommands:
    """Takes commands as the simulator does, and gives at most one set-point in each tick.

    All methods are called by the executor's thread.

    Args:
        node: subscribes.
        health: is told what is refused.
        vendor: whose joints are commanded.
        limits: of every command.
        period: of a tick, s.
        silence_limit: s after which a silent commander is let go.
        closed_by: why no command may be taken now; empty if one may.
    """

    def __init__(
        self,
        node: ManagedNode,
        health: Health,
        vendor: VendorJoints,
        limits: SafetyLimits,
        *,
        period: float,
        silence_limit: float,
        closed_by: Callable[[], str],
    ) -> None:
        self._node = node
        self._health = health
        self._vendor = vendor
        self._closed_by = closed_by
        names = vendor.hand.finger_joints
        self._limiter = ExecutionLimiter(limits, names, vendor.limits, period)
        self._intake = CommandIntake(
            names,
            self._limiter,
            command_age=limits.command_age,
            silence_limit=silence_limit,
            lock_step=False,
            is_present=lambda sender: self._input.publishes(sender),
        )
        self.refused = 0
        self._slowed = 0
        self.begin(np.zeros(len(names)))
        self._input = SenderSubscription(node, contract.HAND_COMMAND, self._on_command)

    def begin(self, joints: np.ndarray) -> None:
        """Nobody commands, and what comes starts from where the fingers are: (22,), rad."""
        self._limiter.reset(Command(_PALM, joints))
        self._intake.reset()
        self._begun_ns = self._now_ns
        self.drop()

    def drop(self) -> None:
        """Forgets what was commanded: the fingers hold the last set-point, which grips."""
        self._wanted: Command | None = None

    def close(self) -> None:
        """Ends the subscription."""
        self._input.destroy()

    def measure(self, joints: np.ndarray) -> None:
        """Notes where the fingers are: (22,), rad."""
        self._limiter.measure(_PALM, joints)

    def next(self) -> np.ndarray | None:
        """The (22,) set-point of this tick, rad; None if there is none to send."""
        if self._wanted is None:
            return None
        step = self._limiter.step(self._wanted).finger_targets
        if not self._limiter.slowed:
            self.drop()
        self._slowed = self._slowed + 1 if self._limiter.slowed else 0
        if self._slowed > SLOWED:
            self._health.warn("the commands are faster than the limits allow: slowed down")
        return step

    def watch(self) -> None:
        """Tells of a commander that has fallen silent, and lets it go after a while."""
        silent = self._intake.silent(self._now_ns)
        if self._intake.end_silence(self._now_ns):
            self.drop()
        if silent is not None:
            self._health.warn(
                f"commander silent: {silent.commander} on {self._topic}",
                seconds_of_silence=f"{silent.seconds:.2f}",
            )

    @property
    def _now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds

    @property
    def _topic(self) -> str:
        return self._node.resolve_topic_name(contract.HAND_COMMAND.name)

    def _on_command(self, message: JointTrajectory, sender: Sender) -> None:
        if not self._node.active:
            return
        try:
            if not message.points:
                self._intake.let_go(sender)
                self.drop()
                return
            if closed_by := self._closed_by():
                raise Refusal(sender, contract.HAND_COMMAND, Fault(closed_by))
            if 0 < stamp_to_ns(message.header.stamp) <= self._begun_ns:  # zero answers no state
                fault = Fault("it answers a state from before the hand was ready")
                raise Refusal(sender, contract.HAND_COMMAND, fault)
            targets = self._intake.finger_targets(message, sender, self._now_ns)
        except Refusal as refusal:
            self._refuse(refusal)
            return
        self._wanted = Command(_PALM, self._vendor.driven(targets))

    def _refuse(self, refusal: Refusal) -> None:
        self.refused += 1
        self._health.warn(
            f"refused a command of {refusal.sender} on {self._topic}: {refusal.fault.kind}",
            detail=refusal.fault.detail,
            refused=self.refused,
        )
