"""A measured state of the hand, out of the vendor's message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dexgrasp_hand_driver.vendor_clock import VendorClock
from dexgrasp_models.hand.vendor_joints import VendorJoints, VendorStateError


@dataclass(frozen=True)
class HandState:
    """What was measured, in our order and signs.

    Attributes:
        received: s, monotonic: when it came.
        delay: s by which it took longer than the quickest states.
        clock_apart: s that the vendor's clock is behind the monotonic one.
        positions, velocities: (22,) of the fingers, rad and rad/s.
        wrist, wrist_velocities: (2,) of the wrist joints, rad and rad/s.
        efforts: (24,) of fingers and wrist, as the vendor gives them; None where they are not
            measured.
    """

    received: float
    delay: float
    clock_apart: float
    positions: np.ndarray
    velocities: np.ndarray
    wrist: np.ndarray
    wrist_velocities: np.ndarray
    efforts: np.ndarray | None

    def age(self, now: float) -> float:
        """Seconds since it was measured, at least."""
        return now - self.received + self.delay

    def vendor_time(self, now: float) -> float:
        """The vendor's time at one of the monotonic clock, s."""
        return now - self.clock_apart


class HandStateReader:
    """Reads the `sensor_msgs/JointState` messages of one connection.

    Args:
        vendor: whose joints they have.
    """

    def __init__(self, vendor: VendorJoints) -> None:
        self._vendor = vendor
        self._stamp = 0.0
        self._clock = VendorClock()

    def read(self, message: Mapping[str, Any], received: float) -> HandState:
        """The state that a message has.

        Args:
            message: as JSON has it.
            received: s, monotonic: when it came.

        Raises:
            VendorStateError: it can't be used, or is no newer than the one before.
        """
        try:
            stamp = message["header"]["stamp"]
            seconds = stamp["secs"] + 1e-9 * stamp["nsecs"]
            names, positions = message["name"], message["position"]
            velocities = message.get("velocity") or [0.0] * len(names)
            efforts = message.get("effort")
        except (KeyError, TypeError) as error:
            raise VendorStateError(f"the state is no sensor_msgs/JointState: {error!r}") from error
        fingers = self._vendor.fingers(names, positions)
        wrist = self._vendor.wrist_angles(names, positions)
        if seconds <= self._stamp:
            raise VendorStateError("the same state comes again, its stamp does not go on")
        self._stamp = seconds
        delay = self._clock.delay(seconds, received)
        return HandState(
            received=received,
            delay=delay,
            clock_apart=self._clock.apart,
            positions=fingers,
            velocities=self._vendor.fingers(names, velocities),
            wrist=wrist,
            wrist_velocities=self._vendor.wrist_angles(names, velocities),
            efforts=self._efforts(names, efforts),
        )

    def _efforts(self, names: list[str], efforts: list[float | None] | None) -> np.ndarray | None:
        if not efforts:
            return None
        try:
            fingers = self._vendor.fingers(names, efforts)
            return np.concatenate([fingers, self._vendor.wrist_angles(names, efforts)])
        except VendorStateError:
            return None
