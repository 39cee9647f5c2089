"""Starts, disturbs and asks the counterpart of a UR controller, `ur_server.py`.

Times are of CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Self

from dexgrasp_counterparts.joint_link import JointLink

RATE = 500.0
PERIOD = 1.0 / RATE
HOME = (-0.419, -1.962, 1.574, -1.182, -1.571, -1.99)
"""Joints at the start, rad: the cell's home."""
JOINT_SPEED = math.pi
"""rad/s, at which a joint goes to a set-point at most."""
KEPT = 60_000
"""Set-points that are kept, of two minutes."""
RTDE_PORT, DASHBOARD_PORT, SCRIPT_PORT = 30004, 29999, 30003
SERVER = "dexgrasp_counterparts.ur_server"


@dataclass(frozen=True)
class Record:
    """What the controller has seen since it was last cleared.

    Attributes:
        arrivals: (s, joints) of every servo set-point, of the last `KEPT`.
        events: (s, what) of stops and of programs that began.
        joints: where the arm is now, rad.
        watchdog: Hz that the client asked for, or None.
    """

    arrivals: list[tuple[float, tuple[float, ...]]]
    events: list[tuple[float, str]]
    joints: tuple[float, ...]
    watchdog: float | None

    @property
    def changes(self) -> list[tuple[float, tuple[float, ...]]]:
        """The set-points that differ from the one before."""
        pairs = zip(self.arrivals, self.arrivals[1:], strict=False)
        return [after for before, after in pairs if before[1] != after[1]]


class UrController:
    """A controller in a process of its own, at an address of its own on the loop-back.

    Args:
        host: any address in 127/8; by default one that this process alone uses.
        robot: the arm that it moves and measures; by default one that follows at once.
    """

    _count = 0

    def __init__(self, host: str | None = None, robot: JointLink | None = None) -> None:
        if host is None:
            UrController._count += 1
            pid = os.getpid()
            host = f"127.{1 + pid % 254}.{pid // 254 % 256}.{UrController._count}"
        self.host = host
        self._robot = robot
        self.start()

    def start(self) -> None:
        """Switched on: the arm is at home, or where its robot is.

        Raises:
            ChildProcessError: it can't be; it has said why on the standard error.
        """
        ours, theirs = socket.socketpair()
        passed = [theirs.fileno(), *([self._robot.fileno()] if self._robot else [])]
        self.process = subprocess.Popen(
            [sys.executable, "-m", SERVER, self.host, *map(str, passed)],
            pass_fds=passed,
        )
        theirs.close()
        self._orders = Connection(ours.detach())
        try:
            self._orders.recv()  # that it is ready
        except EOFError:
            self.process.wait()
            raise ChildProcessError(f"no controller at {self.host}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def tell(self, name: str, value: Any = None) -> Any:
        """Gives an order; returns the time at which it was obeyed, s, or the record."""
        self._orders.send((name, value))
        return self._orders.recv()

    def record(self, clear: bool = False) -> Record:
        """What it has seen; with `clear` only the last set-point counts from now on."""
        return self.tell("record", clear)

    @property
    def joints(self) -> tuple[float, ...]:
        """Where the arm is, rad."""
        return self.tell("where")

    def freeze(self) -> float:
        """Stops the process; returns when, s."""
        self.process.send_signal(signal.SIGSTOP)
        return time.monotonic()

    def thaw(self) -> float:
        """Lets a frozen process go on; returns when, s."""
        self.process.send_signal(signal.SIGCONT)
        return time.monotonic()

    def kill(self) -> None:
        """The power is cut."""
        self.process.kill()
        self.process.wait()
        self._orders.close()
