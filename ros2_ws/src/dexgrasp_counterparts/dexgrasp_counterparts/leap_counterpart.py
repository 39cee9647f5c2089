"""Starts and disturbs the service of `leap_service.py`."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import connect

SERVICE = "dexgrasp_counterparts.leap_service"


class LeapCounterpart:
    """A Leap's service on this machine.

    Args:
        settings: of the service, see there.
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Returns once it listens."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", SERVICE, str(self.port), json.dumps(self._settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "there\n"

    def kill(self) -> None:
        """At once."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def freeze(self) -> None:
        """It stays connected and does nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def set(self, **settings: Any) -> None:
        """Changes settings; they hold when it returns."""
        address = f"ws://127.0.0.1:{self.port}/control"
        with connect(address, ping_interval=None, proxy=None) as connection:
            connection.send(json.dumps(settings))
            connection.recv()


@contextmanager
def leap_counterpart(**settings: Any) -> Iterator[LeapCounterpart]:
    """One that runs, and is ended."""
    counterpart = LeapCounterpart(**settings)
    counterpart.start()
    try:
        yield counterpart
    finally:
        counterpart.kill()
