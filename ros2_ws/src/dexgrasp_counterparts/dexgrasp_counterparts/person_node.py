"""The node of a person in simulation: a hand over a Leap Motion's counterpart, a foot on a clutch.

The hand goes as the wrist of a played reach is to go, and `leap` and `teleop` make the robot's
wrist of it as of anybody's. This person looks at the robot: where its wrist is wanted otherwise
than the hand has gone, the clutch is let go, and the reach begun anew.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import Joy

from dexgrasp_counterparts.leap_counterpart import LeapCounterpart, told_hand
from dexgrasp_interfaces.msg import ControlState
from dexgrasp_models.control.trajectory import pose_distance
from dexgrasp_models.parameters import parameter, text
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.conversions import MessageError
from dexgrasp_ros.node import WARN, ConfigurationError
from dexgrasp_ros.node_process import main
from dexgrasp_teleop.reach_player_node import PlayerParameters, ReachPlayerNode

_PRESSED_AFTER = 0.3
"""s for which the hand is seen before the clutch is pressed."""
_RESTING_PLACE = (0.0, 0.0, 0.5)
"""Of the person's wrist when the clutch is pressed, m in the frame `leap`."""


_SETTLING = 1.0
"""s after the hand was raised, in which the robot's wrist comes there too."""
_NOT_RAISED = 0.05
"""m: a wrist that is wanted farther from the hand then was let go on the way."""


@dataclass(frozen=True)
class PersonParameters(PlayerParameters):
    """Parameters of the person beside those of what is played.

    Raises:
        ValueError: the hand would move before the clutch is pressed.
    """

    address: str = text("127.0.0.1", "where the Leap's service answers: of this machine alone")
    port: int = parameter(6437, 0, 65535, "", "there; 0: any free one")
    rate: float = parameter(
        50.0, 10.0, 200.0, "Hz", "of the device's frames and of the clutch; a real device gives 100"
        " without a processor of this machine"
    )  # fmt: skip
    button: int = parameter(0, 0, 63, "", "of the clutch, among the buttons on teleop/clutch")
    most_apart: float = parameter(
        0.15, 0.02, 0.5, "m", "a robot's wrist that is wanted farther from where the hand has gone"
        " is not moved by it: the reach begins anew"
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.wait <= _PRESSED_AFTER:
            raise ValueError(
                f"PersonParameters.wait = {self.wait} s has to be more than {_PRESSED_AFTER} s,"
                " after which the clutch is pressed"
            )


@dataclass(frozen=True, eq=False)
class _Beginning:
    """Of what is played."""

    time: float
    """s of the monotonic clock."""
    wrist: np.ndarray
    """(4, 4) of the robot's wrist in `world`."""
    identity: int
    """Of the hand."""


class PersonNode(ReachPlayerNode):
    """Moves the counterpart's hand, and publishes the clutch, in a thread."""

    parameters_type = PersonParameters
    start_topic = contract.TELEOP_WRIST

    def __init__(self, **options: Any) -> None:
        super().__init__("person", **options)
        self._hands = 0
        self._beginning: _Beginning | None = None

    # Lifecycle

    def configure(self) -> None:
        super().configure()
        self.neighbours.refuse_publishers((contract.CLUTCH,))
        topic = contract.CLUTCH
        self._clutch = self.create_lifecycle_publisher(topic.type, topic.name, topic.qos)

    def activate(self) -> None:
        """The device is plugged in, and sees no hand.

        Raises:
            ConfigurationError: its address is taken.
        """
        p = self.parameters
        self._leap = LeapCounterpart(p.address, p.port, hands=[], rate=p.rate)
        self.hardware_id = f"a Leap's service at {p.address}:{self.leap_port}"
        try:
            self._leap.start()
        except OSError as error:
            raise ConfigurationError(f"{error}: give it another `address`, as 127.0.0.2") from error
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._guarded, name="hand", daemon=True)
        self._thread.start()

    def deactivate(self) -> None:
        super().deactivate()
        self._stop.set()
        self._thread.join()
        self._leap.kill()

    @property
    def leap_port(self) -> int:
        """Where the device's service answers."""
        return self._leap.port

    # What is played

    def _on_control_state(self, message: ControlState) -> None:
        if message.moves_wrist:  # the robot goes on by itself
            self.rest()
        super()._on_control_state(message)

    def begin(self, ns: int) -> None:
        assert self.played is not None
        self._hands += 1  # as the device counts one that has come back
        self._beginning = _Beginning(time.monotonic(), self.played.pose(0.0), self._hands)

    def play(self, message: PoseStamped, ns: int) -> None:
        """Looks whether the robot's wrist is wanted where the hand has gone."""
        assert self.played is not None
        try:
            wanted = conversions.world_pose_from_message(message)
        except MessageError:  # the control node tells of it
            return
        apart, _ = pose_distance(self.played.pose(self._elapsed), wanted)
        over = self._elapsed > self.played.duration + _SETTLING
        if apart > (_NOT_RAISED if over else self.parameters.most_apart):
            self.report(WARN, f"the robot's wrist is not moved, {apart:.2f} m apart: begins anew")
            self.end()
            self.played = None

    def end(self) -> None:
        self._beginning = None

    @property
    def _elapsed(self) -> float:
        """s since the beginning."""
        beginning = self._beginning
        return time.monotonic() - beginning.time if beginning is not None else 0.0

    # The thread of hand and clutch: the node's own may plan the next reach for a while

    def _guarded(self) -> None:
        try:
            self._move()
        except Exception as error:
            if not self._stop.is_set():
                self.fail(error)

    def _move(self) -> None:
        with self._leap.settings() as change:
            due = time.monotonic()
            while not self._stop.is_set():
                change(hands=self._seen())
                self._clutch.publish(self._held())
                due = max(due + 1.0 / self.parameters.rate, time.monotonic())
                self._stop.wait(due - time.monotonic())

    def _seen(self) -> list[dict[str, Any]]:
        """What the device sees now: one hand while something is played."""
        beginning, played = self._beginning, self.played
        if beginning is None or played is None:
            return []
        return [told_hand(self._hand_at(played.pose(self._elapsed), beginning), beginning.identity)]

    def _held(self) -> Joy:
        """What the clutch says now."""
        pressed = self._beginning is not None and self._elapsed > _PRESSED_AFTER
        buttons = [0] * self.parameters.button + [int(pressed)]
        stamp = self.get_clock().now().nanoseconds
        return Joy(header=conversions.header(stamp, ""), buttons=buttons)

    @staticmethod
    def _hand_at(wrist: np.ndarray, beginning: _Beginning) -> np.ndarray:
        """(4, 4) of the hand in the frame `leap`, whose axes are the world's."""
        hand = wrist.copy()
        hand[:3, 3] += _RESTING_PLACE - beginning.wrist[:3, 3]
        return hand


def run() -> None:
    """Entry point of the executable."""
    sys.exit(main(PersonNode))


if __name__ == "__main__":
    run()
