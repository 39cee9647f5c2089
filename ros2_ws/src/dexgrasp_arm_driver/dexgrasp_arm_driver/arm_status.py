"""What the driver says of the arm, on /diagnostics and on its own topic."""

from __future__ import annotations

import threading
import time

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.publisher import Publisher

from dexgrasp_ros.node import ERROR, OK, WARN, ManagedNode

WARNING_KEPT = 2.0
"""Seconds for which a warning stands after it last came."""


class ArmStatus:
    """A stop until it is over; else the newest warnings; else that all is well.

    Args:
        node: reports on /diagnostics.
        output: gets each change of what there is to say.
        hardware_id: of the arm.
    """

    def __init__(self, node: ManagedNode, output: Publisher, hardware_id: str) -> None:
        self._node = node
        self._output = output
        self._hardware_id = hardware_id
        self._lock = threading.Lock()
        self._stop = ""
        self._warned: dict[str, float] = {}
        self._said = (b"", "")

    @property
    def stop(self) -> str:
        """Why the arm is stopped; empty where it is not."""
        return self._stop

    def stopped(self, reason: str) -> None:
        """The arm stands, and only a person's word lets it go on."""
        with self._lock:
            self._stop = reason
            self._say(ERROR, reason)

    def servoing(self, **values: object) -> None:
        """The arm follows its targets; what was warned of lately is still said."""
        with self._lock:
            self._stop = ""
            self._warned = self._recent()
            if not self._warned:
                self._say(OK, "follows /arm/wrist_target", **values)

    def warn(self, message: str, **values: object) -> None:
        """A warning; its numbers are values, so that the same mistake has the same message."""
        with self._lock:
            recent = self._recent()
            if message not in recent and not self._stop:
                self._say(WARN, message, **values)
            self._warned = recent | {message: time.monotonic()}

    def _recent(self) -> dict[str, float]:
        now = time.monotonic()
        return {text: at for text, at in self._warned.items() if now - at < WARNING_KEPT}

    def _say(self, level: bytes, message: str, **values: object) -> None:
        self._node.report(level, message, **values)
        if (level, message) != self._said:
            self._said = (level, message)
            status = DiagnosticStatus(
                level=level,
                name="arm",
                message=message,
                hardware_id=self._hardware_id,
                values=[KeyValue(key="servoing", value=str(not self._stop).lower())],
            )
            self._output.publish(status)
