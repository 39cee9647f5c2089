"""Keeps one wrist coming from the device's service, in a thread of its own; without ROS."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable

from dexgrasp_leap.frames import LeapFrame
from dexgrasp_leap.transport import ServiceError, Transport
from dexgrasp_leap.wrist_tracker import LateFrameError, TrackedWrist, WristTracker
from dexgrasp_ros.device_clock import OutOfOrderError

RETRY = 0.5
"""Seconds from the end of a connection to the next attempt."""
RATE_WINDOW = 1.0
"""Seconds over which frames are counted."""
MOST_RATE = 1000
"""Frames a second that are counted at most."""


class WristFeed:
    """Connects, hands on the wrist of each frame, and connects anew when a connection has ended.

    Args:
        transport: the way to the service.
        tracker: finds the wrist in the frames.
        now_ns: ROS time.
        stale_after: seconds without a good frame, after which the wrist is lost.
        on_wrist: takes the wrist, in the feed's thread or that of `watch`, one at a time.
        on_fault: called with an error that the feed can't go on after.
    """

    def __init__(
        self,
        transport: Transport,
        tracker: WristTracker,
        now_ns: Callable[[], int],
        stale_after: float,
        *,
        on_wrist: Callable[[TrackedWrist], None],
        on_fault: Callable[[Exception], None],
    ) -> None:
        self._transport = transport
        self._tracker = tracker
        self._now_ns = now_ns
        self._stale_after = stale_after
        self._on_wrist, self._on_fault = on_wrist, on_fault
        self._stop = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._devices: dict[str, bool] = {}
        self._arrivals: deque[float] = deque(maxlen=MOST_RATE)
        self._heard = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="leap", daemon=True)
        self.is_connected = False
        """Whether there is a connection now."""
        self.problem = ""
        """Why there was none the last time; empty before the first attempt."""
        self.dropped: Counter[str] = Counter()
        """What was not handed on, by reason."""
        self.connections = 0
        """How many there have been."""

    @property
    def silence(self) -> float:
        """Seconds since the last good frame, or since the start."""
        return time.monotonic() - self._heard

    @property
    def is_stale(self) -> bool:
        """Whether no good frame has come for so long that the wrist counts as lost."""
        return self.silence > self._stale_after

    @property
    def has_no_device(self) -> bool:
        """Whether the service has said that all its devices were pulled out."""
        devices = dict(self._devices)
        return bool(devices) and not any(devices.values())

    @property
    def rate(self) -> float:
        """Good frames in the last second, Hz."""
        since = time.monotonic() - RATE_WINDOW
        return sum(arrival > since for arrival in tuple(self._arrivals)) / RATE_WINDOW

    def start(self) -> None:
        """Begins to connect."""
        self._heard = time.monotonic()
        self._thread.start()

    def stop(self, patience: float) -> bool:
        """Ends it; whether it has ended within some seconds. It hands nothing on any more."""
        with self._one_at_a_time:
            self._stop.set()
        self._thread.join(patience)
        return not self._thread.is_alive()

    def watch(self) -> None:
        """To be called regularly: the wrist is lost, each time, while nothing comes."""
        with self._one_at_a_time:
            if self.is_stale:
                self._lose("no frames")

    # What the transport tells

    def connected(self) -> None:
        with self._one_at_a_time:
            self._tracker.begin()
        self._devices = {}
        self.connections += 1
        self.is_connected = True

    def attached(self, device: str, there: bool) -> None:
        self._devices = self._devices | {device: there}

    def take(self, frame: LeapFrame) -> None:
        for problem in frame.problems:
            self.refuse(problem)
        with self._one_at_a_time:
            if self._stop.is_set():
                return
            try:
                wrist = self._tracker.see(frame, self._now_ns())
            except OutOfOrderError:
                self.refuse("a frame out of order")
                return
            self._heard = time.monotonic()
            self._arrivals.append(self._heard)
            self._on_wrist(wrist)

    def refuse(self, reason: str) -> None:
        self.dropped[reason] += 1

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._connect_once()
                self._stop.wait(RETRY)
        except Exception as error:
            self._on_fault(error)

    def _connect_once(self) -> None:
        try:
            self._transport.follow(self, self._stop)
        except LateFrameError as error:
            self.refuse("a frame that was kept back, and what came behind it")
            self.problem = f"given up, as {error}"
        except ServiceError as error:
            self.problem = str(error)
        if self.is_connected:
            self.is_connected = False
            with self._one_at_a_time:
                self._lose("the connection to the service ended")

    def _lose(self, reason: str) -> None:
        if not self._stop.is_set():
            self._on_wrist(self._tracker.lose(reason, self._now_ns()))
