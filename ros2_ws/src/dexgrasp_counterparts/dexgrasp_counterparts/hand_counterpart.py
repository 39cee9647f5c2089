"""Starts, disturbs and asks the simulated hand of `rosbridge_server.py`."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from dexgrasp_counterparts.joint_link import JointLink

SERVER = "dexgrasp_counterparts.rosbridge_server"


@dataclass(frozen=True)
class Received:
    """A command as it came to the hand.

    Attributes:
        at: s, monotonic: when.
        until: s, monotonic: when its point is due.
        taken: whether its controller follows it.
        topic: on which it came.
        angles: the vendor's, of joints or motors, rad.
    """

    at: float
    until: float
    taken: bool
    topic: str
    angles: dict[str, float]


class HandCounterpart:
    """A hand behind rosbridge on this machine.

    Args:
        folder: gets its log; None: nothing is written down.
        host: its address.
        port: of rosbridge; by default a free one.
        robot: the hand that it moves and measures; by default one that follows at once.
        settings: of the server, see there.
    """

    def __init__(
        self,
        folder: Path | None,
        host: str = "127.0.0.1",
        port: int | None = None,
        robot: JointLink | None = None,
        **settings: Any,
    ) -> None:
        self._log = folder / "commands.jsonl" if folder else None
        if self._log:
            self._log.touch()
        self._received: list[Received] = []
        self._read = 0
        self._settings = settings
        self._robot = robot
        self.host = host
        self.port = port or _free_port(host)

    def start(self) -> None:
        """Returns once it listens.

        Raises:
            ChildProcessError: it can't; it has said why on the standard error.
        """
        robot = [self._robot.fileno()] if self._robot else []
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", SERVER),
                *(self.host, str(self.port), str(self._log or ""), json.dumps(self._settings)),
                *map(str, robot),
            ],
            pass_fds=robot,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "there\n":
            raise ChildProcessError(f"no rosbridge at {self.host}:{self.port}")

    def kill(self) -> float:
        """At once; by when it was, s, monotonic."""
        self.process.kill()
        killed = time.monotonic()
        self.process.communicate()
        return killed

    def freeze(self) -> float:
        """It stays connected and does nothing; from when on, s, monotonic."""
        self.process.send_signal(signal.SIGSTOP)
        return time.monotonic()

    def thaw(self) -> None:
        """It goes on, with what has come meanwhile."""
        self.process.send_signal(signal.SIGCONT)

    def set(self, **settings: Any) -> float:
        """Changes settings; by when it was, s, monotonic."""
        with connect(f"ws://{self.host}:{self.port}", ping_interval=None) as connection:
            connection.send(json.dumps({"op": "set", "settings": settings}))
            connection.recv()
        return time.monotonic()

    @property
    def received(self) -> list[Received]:
        """All commands so far, also those from before a restart."""
        assert self._log is not None
        with self._log.open() as log:
            log.seek(self._read)
            for line in iter(log.readline, ""):
                if line.endswith("\n"):
                    self._received.append(Received(**json.loads(line)))
                    self._read = log.tell()
        return list(self._received)

    @property
    def taken(self) -> list[Received]:
        """Those that are followed."""
        return [each for each in self.received if each.taken]


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


@contextmanager
def hand_counterpart(folder: Path, **settings: Any) -> Iterator[HandCounterpart]:
    """One that runs, and is ended."""
    counterpart = HandCounterpart(folder, **settings)
    counterpart.start()
    try:
        yield counterpart
    finally:
        counterpart.kill()
