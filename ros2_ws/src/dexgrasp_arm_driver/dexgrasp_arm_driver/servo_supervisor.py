"""Starts the servo process, and a fresh one after each that has ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from dexgrasp_arm_driver.servo_messages import End, Ended, Order, State
from dexgrasp_arm_driver.servo_settings import ServoSettings

SILENCE = 3.0
"""s without a state, after which a servo process is given up: the controller has stopped it."""
LOADING = 30.0
"""s that a process may take until its first state, on a busy machine."""
CONTROL_TIME = 15.0
"""s that the controller's client may take to start its program, without a state meanwhile."""
_RETRY = 1.0
_ENDING = 0.8
"""s in which a process that was asked to end comes to a standstill; then it is killed."""
_POLL = 0.1


class ServoSupervisor:
    """Keeps a servo process, in a thread of its own.

    The callbacks are called in that thread, which is also the one that the process ends with.

    Args:
        settings: of the process.
        on_state: is given each state.
        on_end: is told why a process has ended, if that was not asked for.
    """

    def __init__(
        self,
        settings: ServoSettings,
        on_state: Callable[[State], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._on_state = on_state
        self._on_end = on_end
        self._stopping = threading.Event()
        self._sending = threading.Lock()
        self._connection: Connection | None = None
        self._patience = LOADING
        self._thread = threading.Thread(target=self._supervise, name="servo", daemon=True)
        self._thread.start()

    def send(self, order: Order, patience: float = SILENCE) -> None:
        """Passes an order on; one to a process that is no longer, or not yet, there is lost.

        Args:
            order: what to do.
            patience: s that the process may take to it without a word.
        """
        with self._sending, contextlib.suppress(OSError):
            if self._connection is not None:
                self._patience = max(self._patience, patience)
                self._connection.send(order)

    def close(self) -> None:
        """Has the arm stand, and ends the process and the thread; takes a second at most."""
        self._stopping.set()
        self.send(End())
        self._thread.join()

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            reason = self._one_process()
            if not self._stopping.is_set():
                self._on_end(reason)
                self._stopping.wait(_RETRY)

    def _one_process(self) -> str:
        """Runs a process to its end; the reason."""
        ours, theirs = socket.socketpair()
        module = f"{__package__}.servo_process"
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(theirs.fileno()), str(os.getpid())],
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        connection = Connection(ours.detach())
        try:
            self._patience = LOADING
            connection.send(self._settings)
            with self._sending:
                self._connection = connection
            if self._stopping.is_set():  # it may have missed the order
                self.send(End())
            return self._listen(connection) or self._end_of(process)
        except OSError:
            return self._end_of(process)
        finally:
            with self._sending:
                self._connection = None
            connection.close()
            _ended(process)

    def _listen(self, connection: Connection) -> str:
        """Hears a process until its last word; empty where it has had none."""
        heard, asked_to_end, servoing = time.monotonic(), None, False
        while True:
            if connection.poll(_POLL):
                try:
                    message = connection.recv()
                except (EOFError, OSError):
                    return ""
                heard = time.monotonic()
                if isinstance(message, Ended):
                    return message.reason
                servoing = message.servoing
                if servoing:
                    self._patience = SILENCE
                # On a busy machine only the newest is news.
                if not self._stopping.is_set() and not connection.poll():
                    self._on_state(message)
            now = time.monotonic()
            if self._stopping.is_set():
                asked_to_end = asked_to_end or now
                if not servoing or now - asked_to_end > _ENDING:
                    return "it did not end"
            if now - heard > self._patience:
                return f"the servo process was silent for {now - heard:.1f} s: it has been killed"

    @staticmethod
    def _end_of(process: subprocess.Popen[bytes]) -> str:
        status = _ended(process)
        if status < 0:
            name = signal.Signals(-status).name
            return f"the controller's client has ended its process ({name})"
        return f"the servo process has ended with status {status}"


def _ended(process: subprocess.Popen[bytes]) -> int:
    """The status of a process that is ending, or is killed."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(_POLL)
    process.kill()
    return process.wait()
