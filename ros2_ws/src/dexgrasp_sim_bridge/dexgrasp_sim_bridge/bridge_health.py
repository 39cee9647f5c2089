"""What the bridge says of itself on /diagnostics."""

from __future__ import annotations

import time

from dexgrasp_ros.health import Health
from dexgrasp_ros.node import OK, WARN, ManagedNode


class BridgeHealth(Health):
    """Faults, warnings, and how fast it goes.

    Args:
        node: reports.
        period: control period, s.
        wanted: simulated seconds per second.
    """

    def __init__(self, node: ManagedNode, period: float, wanted: float) -> None:
        super().__init__(node)
        self._period = period
        self._wanted = wanted
        self._since: float | None = None
        self._ticks = 0

    def real_time_tick(self, **values: object) -> None:
        """Counts a tick in real time, and once a second tells the factor."""
        if self._since is None:
            self._since = time.monotonic()
        self._ticks += 1
        elapsed = time.monotonic() - self._since
        if elapsed < 1.0:
            return
        factor = self._ticks * self._period / elapsed
        self._since, self._ticks = time.monotonic(), 0
        slow = factor <= 0.9 * self._wanted
        self.well(
            "slower than real time" if slow else "real time",
            WARN if slow else OK,
            real_time_factor=f"{factor:.3f}",
            **values,
        )
