"""Whether the controller is in remote control, asked of its dashboard without ever waiting."""

from __future__ import annotations

import contextlib
import socket

_ASK_PERIOD = 0.04
"""s between two questions; a switch to local control is to be known well within 0.1 s."""
_RETRY_PERIOD = 1.0
_QUESTION = b"is in remote control\n"


class RemoteControl:
    """Asks again and again.

    Args:
        host: of the controller.
        port: of its dashboard server.
    """

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._socket: socket.socket | None = None
        self._next = 0.0
        self._buffer = b""
        self._answer: bool | None = None

    def poll(self, now: float) -> bool | None:
        """The newest answer; None while there is none, as of those that don't know the question.

        Args:
            now: s, monotonic.
        """
        try:
            if self._socket is None:
                self._connect(now)
            else:
                self._read(self._socket)
                if now >= self._next:
                    self._next = now + _ASK_PERIOD
                    self._socket.send(_QUESTION)
        except BlockingIOError:
            pass
        except OSError:
            self._close()
            self._next = now + _RETRY_PERIOD
        return self._answer

    def _connect(self, now: float) -> None:
        if now < self._next:
            return
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._next = now + _ASK_PERIOD
        self._socket.connect(self._address)

    def _read(self, connected: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            if not (received := connected.recv(4096)):
                raise ConnectionError
            *lines, self._buffer = (self._buffer + received).split(b"\n")
            for line in lines:
                if (word := line.strip().lower()) in (b"true", b"false"):
                    self._answer = word == b"true"

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._buffer, self._answer = None, b"", None
