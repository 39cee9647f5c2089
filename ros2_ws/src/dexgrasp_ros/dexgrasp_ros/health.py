"""What a node that executes commands says of itself on /diagnostics."""

from __future__ import annotations

import time

from dexgrasp_ros.node import ERROR, OK, WARN, ManagedNode

WARNING_KEPT = 2.0
"""Seconds of wall time for which a warning stands after it last came."""


class Health:
    """A fault until it is mended, and warnings that are told once.

    Args:
        node: reports.
    """

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self._faulty = False
        self._warned: dict[str, float] = {}

    def fault(self, message: str, **values: object) -> None:
        """An error that stands whatever else is to be said, until `mended`."""
        self._faulty = True
        self._node.report(ERROR, message, **values)

    def mended(self) -> None:
        """The fault is over; the next report says what is then."""
        self._faulty = False

    def warn(self, message: str, **values: object) -> None:
        """A warning; its numbers are values, so that the same mistake has the same message."""
        now = time.monotonic()
        recent = self._recent(now)
        if message not in recent and not self._faulty:
            self._node.report(WARN, message, **values)
        self._warned = recent | {message: now}

    def well(self, message: str, level: bytes = OK, **values: object) -> None:
        """What there is to say where nothing has been warned of."""
        self._warned = self._recent(time.monotonic())
        if not self._warned and not self._faulty:
            self._node.report(level, message, **values)

    def _recent(self, now: float) -> dict[str, float]:
        return {text: at for text, at in self._warned.items() if now - at < WARNING_KEPT}
