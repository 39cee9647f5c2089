"""Starts and disturbs the service of `leap_service.py`."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from websockets.sync.client import connect

from dexgrasp_counterparts.leap_service import CONTROL
from dexgrasp_leap.frames import MILLIMETRE, TO_ROS

SERVICE = "dexgrasp_counterparts.leap_service"


def told_hand(wrist: np.ndarray, number: int) -> dict[str, Any]:
    """A right hand as the service tells it.

    Args:
        wrist: (4, 4) in the frame `leap`, m.
        number: its id.
    """
    axes = TO_ROS.T @ wrist[:3, :3]
    return {
        "id": number,
        "wrist": (TO_ROS.T @ wrist[:3, 3] / MILLIMETRE).tolist(),
        "palmNormal": (-axes[:, 1]).tolist(),
        "direction": axes[:, 2].tolist(),
    }


class LeapCounterpart:
    """A Leap's service on this machine.

    Args:
        host: address of this machine at which it answers.
        port: there; 0: any free one.
        settings: of the service, see there.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, **settings: Any) -> None:
        self._settings = settings
        self._host, self.port = host, port or _free_port(host)
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Returns once it listens.

        Raises:
            OSError: it can't, as another program does there.
        """
        place = (self._host, str(self.port))
        self.process = subprocess.Popen(
            [sys.executable, "-m", SERVICE, *place, json.dumps(self._settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "there\n":
            self.kill()
            raise OSError(f"no Leap's service can be started at {self._host}:{self.port}")

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
        with self.settings() as change:
            change(**settings)

    @contextmanager
    def settings(self) -> Iterator[Callable[..., None]]:
        """Gives what `set` does, over one connection."""
        address = f"ws://{self._host}:{self.port}{CONTROL}"
        with connect(address, ping_interval=None, proxy=None) as connection:

            def change(**settings: Any) -> None:
                connection.send(json.dumps(settings))
                connection.recv()

            yield change


@contextmanager
def leap_counterpart(**settings: Any) -> Iterator[LeapCounterpart]:
    """One that runs, and is ended."""
    counterpart = LeapCounterpart(**settings)
    counterpart.start()
    try:
        yield counterpart
    finally:
        counterpart.kill()


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
