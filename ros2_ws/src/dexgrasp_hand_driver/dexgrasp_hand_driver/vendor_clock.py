"""What time it is for the hand's software, told by the stamps of its states."""

from __future__ import annotations

WINDOW = 10.0
"""Seconds for which the quickest message counts: clocks drift apart by less than 1 ms in it."""


class VendorClock:
    """Compares this machine's monotonic clock with the vendor's, which need not agree with ours.

    Of the messages of the last seconds the quickest one tells how far the clocks are apart, its way
    included. A later one is late by what it took longer. Times are in seconds.

    Attributes:
        apart: what the vendor's clock is behind ours, the quickest message's way included.
    """

    def __init__(self) -> None:
        self._newer = self._older = float("inf")
        self._since = -float("inf")
        self.apart = float("inf")

    def delay(self, stamp: float, received: float) -> float:
        """Notes a message; by how much it took longer than the quickest.

        Args:
            stamp: when it was sent, on the vendor's clock.
            received: when it came, on ours.
        """
        apart = received - stamp
        if received - self._since > WINDOW / 2:
            self._since = received
            self._older, self._newer = self._newer, apart
        self._newer = min(self._newer, apart)
        self.apart = min(self._newer, self._older)
        return apart - self.apart
