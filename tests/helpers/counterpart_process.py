"""A counterpart of a vendor's ROS 2 software, as a process that is told what to do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any, Self


class CounterpartProcess:
    """Starts and disturbs the process.

    Args:
        file: the script; its arguments are the descriptor of its orders, and these.
        domain: of ROS.
    """

    def __init__(self, file: str, *arguments: str, domain: int) -> None:
        self._lock = threading.Lock()
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [sys.executable, file, str(theirs.fileno()), *arguments],
            pass_fds=[theirs.fileno()],
            env=os.environ | {"ROS_DOMAIN_ID": str(domain)},
        )
        theirs.close()
        self._orders = Connection(ours.detach())
        self._orders.recv()  # it is there

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._orders.close()

    def tell(self, name: str, value: Any = None) -> Any:
        """Gives an order, or sets one of the attributes that say how it is.

        Returns:
            When it was obeyed, s, or what was asked for.
        """
        with self._lock:
            self._orders.send((name, value))
            return self._orders.recv()

    def freeze(self) -> float:
        """Stops the process; returns when, s."""
        self.process.send_signal(signal.SIGSTOP)
        return time.monotonic()

    def thaw(self) -> float:
        """Lets a frozen process go on; returns when, s."""
        self.process.send_signal(signal.SIGCONT)
        return time.monotonic()
