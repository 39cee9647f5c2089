"""The way to rosbridge: keeps a process for each connection, one after the other."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dexgrasp_hand_driver.controllers import Controllers, VendorMessage, choose
from dexgrasp_hand_driver.hand_link import LinkView
from dexgrasp_hand_driver.hand_state import HandStateReader
from dexgrasp_hand_driver.rosbridge_process import STATES
from dexgrasp_models.hand.vendor_joints import VendorJoints, VendorStateError

PIPE = 4096
"""Bytes on the way between node and process, two states: more would be old."""
PAUSE = 0.5
"""Seconds from the end of a connection to the next process."""


class RosbridgeLink:
    """Connects, and connects anew when a connection has ended.

    Nothing that was sent on one connection gets into another: each has a process, which is ended
    with it. All methods return at once, and may be called from any thread.

    Args:
        host: of rosbridge.
        port: of rosbridge.
        vendor: whose joints the states have.
        kind: of controllers, one of `controllers.KINDS`.
    """

    states_topic = STATES

    def __init__(self, host: str, port: int, vendor: VendorJoints, kind: str = "auto") -> None:
        self.where = f"rosbridge at {host}:{port}"
        self._arguments = [host, str(port)]
        self._vendor = vendor
        self._kind = kind
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._closing = threading.Event()
        self._reader = HandStateReader(vendor)
        self._thread = threading.Thread(target=self._run, name="rosbridge", daemon=True)
        self.view = LinkView()

    def start(self) -> None:
        """Begins to connect."""
        self._thread.start()

    def close(self) -> None:
        """Ends the connection and its process."""
        self._closing.set()
        self.renew()
        self._thread.join()

    def renew(self) -> None:
        """Ends the present connection, that another one comes in its place."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def controllers(self, view: LinkView) -> Controllers:
        """Those of the vendor's that run, as a view lists them.

        Raises:
            ControllersError: the ones that are asked for don't.
        """
        return choose(view.listed or (), self._kind, self._vendor)

    def advertise(self, topics: Mapping[str, str]) -> None:
        """Tells the other side the types of the topics that will be published on."""
        self._order({"advertise": topics})

    def send(self, messages: Sequence[VendorMessage], until: float) -> None:
        """Publishes messages on advertised topics, unless that comes too late.

        Args:
            messages: are sent together.
            until: s, monotonic: when they would be too old.
        """
        contents = [(message.topic, message.content) for message in messages]
        self._order({"messages": contents, "until": until})

    def _order(self, order: dict[str, Any]) -> None:
        with self._lock:
            process = self._process
            if process is None or process.poll() is not None:
                return
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps(order) + "\n")
                process.stdin.flush()
            except OSError:  # it has just ended
                return

    def _run(self) -> None:
        while not self._closing.is_set():
            with self._lock:
                if self._closing.is_set():
                    return
                self._process = process = self._started()
            assert process.stdout is not None
            for line in process.stdout:
                if line.endswith("\n"):  # else it was ended in the middle of it
                    self._hear(json.loads(line))
            self._ended(process)
            self._closing.wait(PAUSE)

    def _started(self) -> subprocess.Popen[str]:
        module = "dexgrasp_hand_driver.rosbridge_process"
        return subprocess.Popen(
            [sys.executable, "-m", module, *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pipesize=PIPE,
        )

    def _ended(self, process: subprocess.Popen[str]) -> None:
        with self._lock:
            self._process = None
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            try:
                stream.close()
            except OSError:  # what was written last could not be delivered
                continue
        view = self.view
        # Why it was is told by itself, unless it was killed.
        reason = view.problem or "the connection was given up"
        self.view = LinkView(view.connection, False, reason, late=view.late)
        self._reader = HandStateReader(self._vendor)

    def _hear(self, told: dict[str, Any]) -> None:
        view = self.view
        match told["kind"]:
            case "connected":
                changed = LinkView(view.connection + 1, True, "", late=view.late)
            case "problem":
                changed = replace(view, connected=False, state=None, problem=told["message"])
            case "state":
                changed = self._with_state(view, told)
            case "controllers":
                changed = replace(view, listed=told["listed"], trip=told["trip"], problem="")
            case "no_controllers":
                problem = f"which controllers run is not told: {told['reason']}"
                changed = replace(view, listed=(), problem=problem)
            case _:  # late
                changed = replace(view, late=view.late + 1)
        self.view = changed

    def _with_state(self, view: LinkView, told: dict[str, Any]) -> LinkView:
        try:
            state = self._reader.read(told["message"], told["received"])
        except VendorStateError as error:
            return replace(view, bad_state=str(error))
        return replace(view, state=state, states=view.states + 1, bad_state="")
