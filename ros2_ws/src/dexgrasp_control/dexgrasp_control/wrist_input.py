"""The person's wrist, from /teleop/wrist, and what says: close the hand."""

from __future__ import annotations

import time

import numpy as np
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import Joy

from dexgrasp_ros import conversions
from dexgrasp_ros.conversions import MessageError

_BUTTON_TIMEOUT = 0.25
"""Seconds of wall time after which a button that is not heard of is not pressed any more."""
_ASKED_FOR = 1.0
"""Seconds of wall time for which a request counts as a pressed button does."""


class WristInput:
    """Keeps the newest pose that makes sense as a message; how it moves is the controller's matter.

    Args:
        button: that closes the hand, among those on /teleop/clutch.

    Attributes:
        fault: why the latest message was refused; empty where it was not.
        received: how many poses were taken.
    """

    def __init__(self, button: int = 1) -> None:
        self._newest: tuple[int, np.ndarray] | None = None
        self._button = button
        self._released = False  # seen so: one that is held from the start says nothing
        self._pressed_at = self._asked_at = -float("inf")
        self.fault = ""
        self.received = 0

    @property
    def newest(self) -> tuple[int, np.ndarray] | None:
        """Stamp, ns, and pose (4, 4) of `rh_palm` in `world`; None before the first."""
        return self._newest

    @property
    def stamp(self) -> int:
        """Of the newest pose, ns; -1 before the first."""
        return self._newest[0] if self._newest else -1

    @property
    def close_wanted(self) -> bool:
        """Whether the button is pressed, or it was asked for."""
        now = time.monotonic()
        return now - self._pressed_at < _BUTTON_TIMEOUT or now - self._asked_at < _ASKED_FOR

    def ask_to_close(self) -> None:
        """As the button, by a request."""
        self._asked_at = time.monotonic()

    def put_buttons(self, message: Joy) -> None:
        """Takes the buttons; where there is none of that number it is not pressed."""
        if not sum(message.buttons[self._button : self._button + 1]):
            self._released, self._pressed_at = True, -float("inf")
        elif self._released:
            self._pressed_at = time.monotonic()

    def put(self, message: PoseStamped) -> None:
        """Takes a pose; the same stamp may come again, and counts once.

        Raises:
            MessageError: it is not finite, not in the world's frame, no pose, or older than the
                newest.
        """
        try:
            ns = conversions.stamp_to_ns(message.header.stamp)
            pose = conversions.world_pose_from_message(message)
            if ns < self.stamp:
                seconds = (self.stamp - ns) / conversions.NANOSECONDS
                raise MessageError(f"it is out of order, {seconds:.3f} s before the newest")
        except MessageError as error:
            self.fault = str(error)
            raise
        self.fault = ""
        if ns > self.stamp:
            self._newest = ns, pose
            self.received += 1
