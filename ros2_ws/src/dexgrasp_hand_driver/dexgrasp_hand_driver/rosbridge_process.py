"""One connection to rosbridge, in a process of its own that ends with it.

roslibpy keeps what is published while there is no connection and sends it after the next one, and
has no second connection in a process whose first was ended. A process that never has another can
send nothing from before: what it has not sent ends with it, and so does what the kernel has not.

Its orders come as lines of JSON on the standard input, and what it has to tell goes out on the
standard output; `rosbridge_link.py` is the other end of both. Times are of the monotonic clock,
which all processes of a machine share.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
import threading
import time
from typing import Any

STATES, STATES_TYPE = "/joint_states", "sensor_msgs/JointState"
LIST, LIST_TYPE = "/controller_manager/list_controllers", "controller_manager_msgs/ListControllers"
LIST_PERIOD = 1.0
"""Seconds from an answer to the next question which controllers run."""
PROBE_PERIOD = 1.0
"""Seconds between two looks whether a server is there."""
ANSWER = 5.0
"""Seconds that a server has to take up a connection."""
SILENCE = 5.0
"""Seconds without any word after which a connection is taken for dead, as with a cable pulled."""
_NO_REST = struct.pack("ii", 1, 0)
"""A closed socket drops what it has not sent (SO_LINGER)."""


class Parent:
    """Whom this process works for, and ends with."""

    def __init__(self) -> None:
        # What the libraries print must not get between the lines.
        self._lines = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        self._lock = threading.Lock()

    def tell(self, kind: str, **values: Any) -> None:
        """A line of one kind with its values."""
        with self._lock:
            self._lines.write(json.dumps({"kind": kind, **values}) + "\n")
            self._lines.flush()


class Connection:
    """Passes states on, and orders as long as they are good.

    Args:
        parent: is told.
        host: of the server.
        port: of the server.

    Raises:
        ImportError: the library is not installed whole.
    """

    def __init__(self, parent: Parent, host: str, port: int) -> None:
        import roslibpy

        self._library = roslibpy
        self._parent = parent
        self._topics: dict[str, Any] = {}
        self._open = False
        self._heard = time.monotonic()
        self._state: dict[str, Any] | None = None
        self._ros = roslibpy.Ros(host, port)
        self._ros.factory.set_max_retries(0)
        self._ros.factory.on_ready(self._on_open)
        self._ros.on("close", self._on_close)

    def run(self) -> None:
        """Connects; the library's thread does the rest.

        Raises:
            TimeoutError: the server does not take up the connection.
        """
        self._ros.run(ANSWER)
        # Only the newest is kept for us where the way is narrow.
        states = self._library.Topic(self._ros, STATES, STATES_TYPE, queue_length=1)
        states.subscribe(self._on_state)
        self._lister = self._library.Service(self._ros, LIST, LIST_TYPE)
        self._list_controllers()
        self._watch()

    def order(self, order: dict[str, Any]) -> None:
        """Carries an order out in the library's thread, so that no connection ends meanwhile."""
        self._ros.call_later(0.0, lambda: self._carry_out(order))

    def _carry_out(self, order: dict[str, Any]) -> None:
        if not self._open:
            return
        for name, kind in order.get("advertise", {}).items():
            self._topics[name] = self._library.Topic(self._ros, name, kind, queue_size=1)
            self._topics[name].advertise()
        if "messages" in order:
            late = time.monotonic() - order["until"]
            if late > 0.0:
                self._parent.tell("late", seconds=late)
                return
            for name, content in order["messages"]:
                self._topics[name].publish(self._library.Message(content))

    def _on_open(self, protocol: Any) -> None:
        handle = protocol.transport.getHandle()
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_REST)
        self._open, self._heard = True, time.monotonic()
        self._parent.tell("connected")

    def _on_close(self, _: Any) -> None:
        self._open = False
        _end(self._parent, "the connection was closed by the other side")

    def _watch(self) -> None:
        if time.monotonic() - self._heard > SILENCE:
            _end(self._parent, f"nothing has come for {SILENCE:g} s")
        self._ros.call_later(LIST_PERIOD, self._watch)

    def _on_state(self, message: Any) -> None:
        self._heard = time.monotonic()
        if self._state is None:
            self._ros.call_later(0.0, self._tell_state)
        self._state = {"received": self._heard, "message": dict(message)}

    def _tell_state(self) -> None:
        """The newest of those that had come: a process that lags behind catches up."""
        state, self._state = self._state, None
        if state is not None:
            self._parent.tell("state", **state)

    def _list_controllers(self) -> None:
        asked = time.monotonic()

        def on_answer(answer: Any) -> None:
            self._heard = time.monotonic()
            trip = self._heard - asked
            self._parent.tell("controllers", listed=answer.get("controller", []), trip=trip)
            self._ros.call_later(LIST_PERIOD, self._list_controllers)

        def on_error(reason: Any) -> None:
            self._heard = time.monotonic()
            self._parent.tell("no_controllers", reason=str(reason))
            self._ros.call_later(LIST_PERIOD, self._list_controllers)

        self._lister.call(self._library.ServiceRequest(), callback=on_answer, errback=on_error)


def _end(parent: Parent, reason: str) -> None:
    """Ends at once, whatever the library still waits for."""
    parent.tell("problem", message=reason)
    os._exit(0)


def _wait_for_server(parent: Parent, host: str, port: int) -> None:
    """Returns once somebody listens; tells why if nobody does."""
    told = ""
    while True:
        try:
            with socket.create_connection((host, port), timeout=ANSWER):
                return
        except OSError as error:
            if str(error) != told:
                told = str(error)
                parent.tell("problem", message=told)
        time.sleep(PROBE_PERIOD)


def main() -> None:
    """Runs as `python -m dexgrasp_hand_driver.rosbridge_process HOST PORT`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's is for the node, which ends us
    host, port = sys.argv[1], int(sys.argv[2])
    parent = Parent()
    connections: list[Connection] = []

    def connect() -> None:
        try:
            _wait_for_server(parent, host, port)
            connections.append(Connection(parent, host, port))
            connections[0].run()
        except ImportError as error:
            _end(parent, f"roslibpy can't be loaded ({error}): install it as requirements.txt says")
        except TimeoutError:
            _end(parent, "it takes the connection and does not answer: it hangs, or is none")

    threading.Thread(target=connect, name="connect", daemon=True).start()
    for line in sys.stdin:
        if connections:
            connections[0].order(json.loads(line))
    os._exit(0)  # the node has ended


if __name__ == "__main__":
    main()
