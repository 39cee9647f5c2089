"""How a process of the graph ends: soon after it was told to, and with whoever started it."""

from __future__ import annotations

import os
import signal
import threading
import time

from dexgrasp_models.jobs.parent_process import end_with_process

PARENT_VARIABLE = "DEXGRASP_PARENT"
"""Environment variable with the process id of whoever starts the nodes, who end with it."""
GRACE = 1.5
"""Seconds from the request to end until a process that is still busy is ended by force."""


class Ended(BaseException):
    """The process was told to end while it could not look: raised in its main thread.

    Not an `Exception`: whoever handles errors of the work in hand must not take it for one.
    """


class EndRequest:
    """Takes SIGINT and SIGTERM, and ends the process by force if it does not within `GRACE`.

    Attributes:
        asked: set by the first signal.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._interrupts = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        end_with_parent()

    def interrupting(self, whether: bool) -> None:
        """Whether a signal raises `Ended` in the main thread, as while that is busy."""
        self._interrupts = whether
        if whether and self.asked.is_set():
            raise Ended

    def _on_signal(self, *_: object) -> None:
        if self.asked.is_set():
            return
        self.asked.set()
        threading.Thread(target=_end_by_force, name="end by force", daemon=True).start()
        if self._interrupts:
            raise Ended


def end_with_parent() -> None:
    """Has this process told to end (SIGTERM) when the one in `PARENT_VARIABLE` is gone.

    That one may have been killed, and could not end anything itself. Without the variable, as where
    a person starts a node in a shell, nothing is watched.
    """
    parent = os.environ.get(PARENT_VARIABLE, "")
    if parent.isdecimal():
        end_with_process(int(parent), lambda: os.kill(os.getpid(), signal.SIGTERM))


def _end_by_force() -> None:
    time.sleep(GRACE)
    os._exit(128 + signal.SIGTERM)
