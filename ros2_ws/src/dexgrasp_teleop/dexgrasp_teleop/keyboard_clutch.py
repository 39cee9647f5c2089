"""A clutch for people without a pedal: the space key, held in a terminal.

The terminal's key repeat tells that the key is held. So the clutch engages when the repeats begin,
and releases `timeout` after the last one. Another key is the button that has the hand close: each
stroke presses it, for `timeout`.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sensor_msgs.msg import Joy

from dexgrasp_models.control.held_key import HeldKey
from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.node import ConfigurationError, ManagedNode
from dexgrasp_ros.node_process import main

_KEY = b" "
_CLOSE_KEY = b"c"
_DISABLED = b"\0"
_WATCH_PERIOD = 1.0
"""Seconds between two looks for another clutch, which may be discovered late."""


@dataclass(frozen=True)
class ClutchParameters(Parameters):
    """Parameters of the keyboard's clutch."""

    rate: float = parameter(50.0, 20.0, 200.0, "Hz", "at which the clutch is published")
    timeout: float = parameter(
        0.2, 0.05, 1.0, "s", "without a repeat of the key, after which it is released"
    )


class KeyboardClutchNode(ManagedNode):
    """Publishes the space key and that which closes, as the first two buttons of a joystick."""

    parameters_type = ClutchParameters

    def __init__(self, **options: Any) -> None:
        super().__init__("keyboard_clutch", **options)

    def configure(self) -> None:
        self.neighbours.refuse_publishers((contract.CLUTCH,))
        self._key = HeldKey(self.parameters.timeout)
        self._held = False
        self._close_until = -float("inf")
        topic = contract.CLUTCH
        self._clutch = self.create_lifecycle_publisher(topic.type, topic.name, topic.qos)
        for period, work in (
            (1.0 / self.parameters.rate, self._tick),
            (_WATCH_PERIOD, self._watch),
        ):
            self.create_timer(period, work, clock=self.steady_clock)

    def _tick(self) -> None:
        if not self.active:
            return
        now = self.steady_clock.now().nanoseconds / conversions.NANOSECONDS
        strokes = _strokes()
        if _KEY in strokes:
            self._key.strike(now)
        if _CLOSE_KEY in strokes:
            self._close_until = now + self.parameters.timeout
        held = self._key.held(now)
        stamp = self.get_clock().now().nanoseconds
        buttons = [int(held), int(now < self._close_until)]
        self._clutch.publish(Joy(header=conversions.header(stamp, ""), buttons=buttons))
        if held != self._held:
            self._held = held
            print("held" if held else "released", flush=True)

    def _watch(self) -> None:
        if other := self.neighbours.other_publisher((contract.CLUTCH,)):
            self.fatal = ConfigurationError(other)


def _strokes() -> bytes:
    """What was typed since the last time."""
    source = sys.stdin.fileno()
    return os.read(source, 4096) if select.select([source], [], [], 0.0)[0] else b""


@contextlib.contextmanager
def key_by_key(terminal: int) -> Iterator[None]:
    """Gives what is typed at once and does not show it; restores the terminal at the end.

    The keys that quit or suspend, and would leave the terminal like this, have no effect meanwhile.
    Ctrl-C has.

    Args:
        terminal: its file descriptor.
    """
    before = termios.tcgetattr(terminal)
    changed = termios.tcgetattr(terminal)
    changed[3] &= ~(termios.ICANON | termios.ECHO)
    for key in (termios.VQUIT, termios.VSUSP):
        changed[6][key] = _DISABLED
    try:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, changed)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)


def run() -> None:
    """Entry point of the executable."""
    if not sys.stdin.isatty():
        sys.exit("keyboard_clutch reads keys: start it in a terminal of its own")
    with key_by_key(sys.stdin.fileno()):
        print(
            "Hold the space key to engage the clutch, press c to close the hand; Ctrl-C ends.",
            flush=True,
        )
        sys.exit(main(KeyboardClutchNode))


if __name__ == "__main__":
    run()
