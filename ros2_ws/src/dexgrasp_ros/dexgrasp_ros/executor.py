"""The executor of all nodes."""

from __future__ import annotations

import time
from typing import Any

from rclpy.event_handler import EventHandler
from rclpy.executors import SingleThreadedExecutor

LOOK_PERIOD = 1.0
"""Seconds from one look at events of publishers and subscriptions to the next."""
_LOOK = 0.01
"""Seconds for which they are in the set that is waited for then."""


class NodeExecutor(SingleThreadedExecutor):
    """rclpy's for one thread, which looks at events of publishers and subscriptions rarely.

    Each publisher and subscription has two: somebody wants or offers another quality of service, or
    another type; all they do is to be logged. rclpy would put them into the set that is waited for
    at every message, and what a message costs would be two thirds more. An event stays until it is
    looked at.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._looked = -float("inf")

    def can_execute(self, entity: Any) -> bool:
        """Whether an entity is waited for now."""
        if isinstance(entity, EventHandler) and not self._looks:
            return False
        return super().can_execute(entity)

    @property
    def _looks(self) -> bool:
        now = time.monotonic()
        if now - self._looked >= LOOK_PERIOD:
            self._looked = now
        return now - self._looked < _LOOK
