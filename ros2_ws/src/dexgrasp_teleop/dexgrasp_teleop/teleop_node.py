"""The node through which a person moves the robot's wrist, while a clutch is held.

Each measured wrist is answered on /teleop/wrist with where the wrist is to be then, with the same
stamp, also while it stands: so whoever follows it has a pose at each state.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import Joy

from dexgrasp_interfaces.msg import ControlState, TrackedHand
from dexgrasp_models.control.config import load_control_config
from dexgrasp_models.control.teleoperation import (
    SeenHand,
    TeleoperationConfig,
    TeleoperationState,
    WristTeleoperation,
)
from dexgrasp_models.parameters import choice, parameter, text
from dexgrasp_models.tasks.reach_recorder import ReachRecorder
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.conversions import MessageError
from dexgrasp_ros.node import OK, WARN, ManagedNode
from dexgrasp_ros.node_process import main
from dexgrasp_ros.parameters import current_parameters, declare_parameters

_WATCH_PERIOD = 0.5
"""Seconds between two looks at whether the wrist is measured, and whether anybody else moves it."""


@dataclass(frozen=True)
class TeleopParameters(TeleoperationConfig):
    """Parameters of the node beside the limits (`SafetyLimits`, `limits.*`)."""

    button: int = parameter(0, 0, 63, "", "of the clutch, among the buttons on teleop/clutch")
    recordings: str = text("", "folder for a file of each reach; empty: nothing is recorded")
    record: str = choice(
        "target",
        ("target", "measured"),
        "whether what is wanted of the wrist is recorded, or where it is",
    )


class TeleopNode(ManagedNode):
    """Turns hand, clutch and measured wrist into arrays, and what is wanted of it into messages."""

    parameters_type = TeleopParameters

    def __init__(self, **options: Any) -> None:
        super().__init__("teleop", **options)
        self._limits = declare_parameters(self, load_control_config().limits, prefix="limits.")

    # Lifecycle

    def configure(self) -> None:
        self.neighbours.refuse_publishers((contract.TELEOP_WRIST,))
        self._begin_anew()
        wrist = contract.TELEOP_WRIST
        self._wrist = self.create_lifecycle_publisher(wrist.type, wrist.name, wrist.qos)
        for topic, callback in (
            (contract.TRACKED_HAND, self._on_hand),
            (contract.CLUTCH, self._on_clutch),
            (contract.WRIST_POSE, self._on_measured_wrist),
            (contract.CONTROL_STATE, self._on_control_state),
        ):
            self.create_subscription(topic.type, topic.name, callback, topic.qos)
        self.create_timer(_WATCH_PERIOD, self._watch, clock=self.steady_clock)

    def activate(self) -> None:
        self.neighbours.refuse_publishers((contract.TELEOP_WRIST,))  # discovered by now
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Nothing of before is known, nor of a reach that was being recorded."""
        self._teleoperation = WristTeleoperation(
            self.parameters, current_parameters(self, self._limits, prefix="limits.")
        )
        folder = self.parameters.recordings
        self._recorder = ReachRecorder(Path(folder).expanduser()) if folder else None
        self._measured_at = self._now()
        self._rival: str | None = None  # who else publishes on teleop/wrist
        self._mover = ""  # what moves the wrist meanwhile, and follows nobody
        self._state = TeleoperationState.RELEASED
        self._refused: dict[str, str] = {}  # why the last message of a topic was, by its name

    # What comes

    def _on_hand(self, message: TrackedHand) -> None:
        if not self.active:
            return
        try:
            hand = _seen_hand(message)
        except MessageError as error:
            self._refuse(contract.TRACKED_HAND, str(error))
            return
        self._refused.pop(contract.TRACKED_HAND.name, None)
        self._teleoperation.see_hand(hand, self._now())

    def _on_clutch(self, message: Joy) -> None:
        if not self.active:
            return
        button = self.parameters.button
        if button >= len(message.buttons):
            self._refuse(
                contract.CLUTCH, f"it has {len(message.buttons)} buttons, and no button {button}"
            )
            return
        self._refused.pop(contract.CLUTCH.name, None)
        self._teleoperation.see_clutch(bool(message.buttons[button]), self._now())

    def _on_measured_wrist(self, message: PoseStamped) -> None:
        """Publishes where the wrist is to be at the stamp of the measured one."""
        if not self.active:
            return
        try:
            measured = conversions.world_pose_from_message(message)
        except MessageError as error:
            self._refuse(contract.WRIST_POSE, str(error))
            self._tell()
            return
        self._refused.pop(contract.WRIST_POSE.name, None)
        self._measured_at = self._now()
        ns = conversions.stamp_to_ns(message.header.stamp)
        time = ns / conversions.NANOSECONDS
        if self._mover:
            self._teleoperation.lose(self._mover)
        target = self._teleoperation.step(measured, time, self._measured_at)
        if self._rival is None:
            self._wrist.publish(conversions.pose_stamped(target, ns, conversions.WORLD))
        self._record(time, target if self.parameters.record == "target" else measured)
        self._tell()

    def _on_control_state(self, message: ControlState) -> None:
        """Lets go where the control node moves the wrist by itself."""
        self._mover = ""
        if message.moves_wrist:
            self._mover = f"the control node moves the wrist itself: {message.state}"
            self._teleoperation.lose(self._mover)

    def _refuse(self, topic: contract.Topic, reason: str) -> None:
        """Nothing is made of a message, and what it ought to say is not known."""
        told = f"refused a message on {self.resolve_topic_name(topic.name)}: {reason}"
        self._refused[topic.name] = told
        self._teleoperation.lose(told)

    # What is told

    def _record(self, time: float, pose: np.ndarray) -> None:
        if self._recorder is None:
            return
        teleoperation = self._teleoperation
        try:
            path = self._recorder.take(teleoperation.state, teleoperation.fault, time, pose)
        except OSError as error:
            self.get_logger().error(f"the reach could not be written: {error}")
            return
        if path is not None:
            self.get_logger().info(f"wrote {path}")

    def _tell(self) -> None:
        """State and reason for /diagnostics; a change of state at once."""
        state, reason = self._teleoperation.state, self._teleoperation.reason
        problems = [*self._refused.values(), *([self._rival] if self._rival else [])]
        told = "; ".join(each for each in (reason, *problems) if each)
        level = WARN if problems or state is TeleoperationState.LOST else OK
        self.report(
            level, f"{state}: {told}" if told else str(state), state=str(state), reason=reason
        )
        if state is not self._state:
            self._state = state
            self.publish_diagnostics()

    def _watch(self) -> None:
        """Two streams of wrists would make the robot's jump between them: this one ends then."""
        if not self.active:
            return
        self._rival = self.neighbours.other_publisher((contract.TELEOP_WRIST,))
        if self._rival is not None:
            self._teleoperation.lose(self._rival)
        silence = self._now() - self._measured_at
        if silence > max(1.0, self.parameters.state_timeout):
            topic = self.resolve_topic_name(contract.WRIST_POSE.name)
            self.report(WARN, f"no measured wrist on {topic} for {silence:.0f} s")

    def _now(self) -> float:
        return self.steady_clock.now().nanoseconds / conversions.NANOSECONDS


def _seen_hand(message: TrackedHand) -> SeenHand:
    """The hand of a message; where it is out of sight its pose is not looked at.

    Raises:
        MessageError: the pose is none.
    """
    pose = conversions.pose_from_message(message.wrist) if message.tracked else np.eye(4)
    time = conversions.stamp_to_ns(message.header.stamp) / conversions.NANOSECONDS
    return SeenHand(pose, time, message.id, message.tracked)


def run() -> None:
    """Entry point of the executable."""
    sys.exit(main(TeleopNode))


if __name__ == "__main__":
    run()
