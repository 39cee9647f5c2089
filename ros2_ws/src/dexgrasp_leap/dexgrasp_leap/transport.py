"""What a way to the device's service is, and who is told what comes on it; without ROS."""

from __future__ import annotations

import threading
from typing import Protocol

from dexgrasp_leap.frames import LeapFrame


class ServiceError(Exception):
    """There is no connection to the service, or no longer; says why."""


class Receiver(Protocol):
    """Is told what comes, in whichever thread it comes."""

    def connected(self) -> None:
        """A connection has begun."""

    def attached(self, device: str, there: bool) -> None:
        """A device was plugged in, or pulled out."""

    def take(self, frame: LeapFrame) -> None:
        """A frame has come.

        Raises:
            LateFrameError: it was kept back: only another connection is without what else was.
        """

    def refuse(self, reason: str) -> None:
        """Something came that is no frame."""


class Transport(Protocol):
    """A way to the service. It has one connection at a time, and any number one after another."""

    service: str
    """What it connects to, for messages."""
    advice: str
    """What to look at where there is no connection."""

    def follow(self, receiver: Receiver, stop: threading.Event) -> None:
        """Connects, and hands on what comes until it is to stop, which is seen within 0.5 s.

        Raises:
            ServiceError: there is no connection, or it has ended.
            LateFrameError: the receiver's.
        """
