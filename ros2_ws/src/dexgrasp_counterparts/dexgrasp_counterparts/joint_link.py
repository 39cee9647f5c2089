"""The way between a device's counterpart and the robot that it moves and measures.

Each end is a process of its own and sends what it has again and again; the newest counts. What a
slow end has not read yet does not hold the other up: more is dropped until it has.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Sequence
from typing import Self


class JointLink:
    """One end.

    Args:
        end: a socket of datagrams.
        sends, receives: how many numbers a datagram of each direction has.
    """

    def __init__(self, end: socket.socket, *, sends: int, receives: int) -> None:
        end.setblocking(False)
        self._end = end
        self._sent, self._received = struct.Struct(f"{sends}d"), struct.Struct(f"{receives}d")
        self._newest: tuple[float, ...] | None = None

    @classmethod
    def pair(cls, *, sends: int, receives: int) -> tuple[Self, Self]:
        """Both ends: the robot's, as the numbers say, and the counterpart's, to be passed on."""
        robot, counterpart = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        return (
            cls(robot, sends=sends, receives=receives),
            cls(counterpart, sends=receives, receives=sends),
        )

    @classmethod
    def of(cls, descriptor: int, *, sends: int, receives: int) -> Self:
        """The end with a descriptor that this process was started with."""
        return cls(socket.socket(fileno=descriptor), sends=sends, receives=receives)

    def fileno(self) -> int:
        """Its descriptor."""
        return self._end.fileno()

    def send(self, values: Sequence[float]) -> None:
        """Tells the other end, where that is there and keeps up."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            self._end.send(self._sent.pack(*values))

    def newest(self) -> tuple[float, ...] | None:
        """What the other end has told last; None before the first."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while told := self._end.recv(self._received.size):
                self._newest = self._received.unpack(told)
        return self._newest

    def close(self) -> None:
        """Ends it."""
        self._end.close()
