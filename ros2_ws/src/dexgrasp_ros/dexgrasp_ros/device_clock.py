"""When a frame was taken, in ROS time: a device's clock by the least delay of its frames.

A frame says when it was taken in the device's time, and arrives later. The delay from the one to
the other varies with the load of bus and processor, and never falls below what the transport takes.
So the least delay of the last frames is how far the two clocks are apart, and a frame is stamped
with the device's time plus that. No stamp is ahead of the arrival, and all of them ascend.

Where the device's time is that of this computer already (librealsense follows a camera's clock and
says so) and ROS runs on it too, a frame is stamped with the device's time itself, however late it
comes: that is load. Otherwise stamps are late by what the transport takes at least.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

JUMP_NS = 500_000_000
"""By how much the clocks have to part, or one of them to go back, for it to be a jump."""
WINDOW = 300
"""Frames whose least delay counts: the clocks drift apart slowly."""
ONE_CLOCK_NS = 60_000_000_000
"""Within which a frame comes whose clock is that of this computer, where ROS runs on that too."""
PERSISTENT = 10
"""Frames in a row that are late by a jump, then it is not the load."""


class OutOfOrderError(ValueError):
    """A frame that was taken no later than the one before it."""


@dataclass(frozen=True)
class Stamp:
    """When a frame was taken.

    Attributes:
        ns: in ROS time.
        jumped: whether one of the clocks has jumped, so that the stamps begin anew.
    """

    ns: int
    jumped: bool


class DeviceClock:
    """Gives the frames of one device their stamps; for a device that starts anew, a new one."""

    def __init__(self) -> None:
        self._delays: deque[int] = deque(maxlen=WINDOW)
        self._taken: int | None = None
        self._arrived = 0
        self._stamp = -1

    def stamp_of_last(self, taken_ns: int) -> int | None:
        """The stamp that the newest frame got, if that was taken then by the device's clock."""
        return self._stamp if taken_ns == self._taken else None

    def stamp(self, taken_ns: int, arrived_ns: int, host_clock: bool = False) -> Stamp:
        """The stamp of a frame, later than that of the frame before.

        Only where the clock of ROS itself was set back does it go back as well.

        Args:
            taken_ns: by the device's clock.
            arrived_ns: ROS time at which the frame came.
            host_clock: whether the device's clock is that of this computer.

        Raises:
            OutOfOrderError: it was taken no later than the frame before.
        """
        delay = arrived_ns - taken_ns
        one_clock = host_clock and min([*self._delays, delay]) >= 0 and delay < ONE_CLOCK_NS
        jumped = self._has_jumped(taken_ns, arrived_ns, delay, one_clock)
        if jumped:
            if arrived_ns < self._stamp:
                self._stamp = -1
            self._delays.clear()
        elif self._taken is not None and taken_ns <= self._taken:
            raise OutOfOrderError(
                f"taken {(self._taken - taken_ns) / 1e6:.1f} ms before the frame that came first"
            )
        self._delays.append(delay)
        least = min(self._delays)
        offset = 0 if one_clock else least
        self._taken, self._arrived = taken_ns, arrived_ns
        self._stamp = max(taken_ns + offset, self._stamp + 1)
        return Stamp(self._stamp, jumped)

    def _has_jumped(self, taken_ns: int, arrived_ns: int, delay: int, one_clock: bool) -> bool:
        if self._taken is None:
            return False
        if taken_ns < self._taken - JUMP_NS or arrived_ns < self._arrived - JUMP_NS:
            return True
        if one_clock:
            return False
        least = min(self._delays)
        lately = [*self._delays, delay][-PERSISTENT:]
        late = len(lately) == PERSISTENT and min(lately) > least + JUMP_NS
        return late or delay < least - JUMP_NS
