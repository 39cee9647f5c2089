"""A stand-in for Ultraleap's module `leap`, with as much of its interface as a driver uses.

A connection polls in a thread of its own, as the vendor's does: it prints the exceptions of
listeners and goes on, tells that nothing came by `on_error`, and `connect` raises where no service
answers in time.
"""

from __future__ import annotations

import enum
import queue
import sys
import threading
from types import ModuleType, SimpleNamespace
from typing import Any


class HandType(enum.Enum):
    Left = 0
    Right = 1


class TrackingMode(enum.Enum):
    Desktop = 0
    HMD = 1


class LeapError(Exception):
    pass


class LeapTimeoutError(LeapError):
    pass


class Listener:
    def on_event(self, event: Any) -> None:
        getattr(self, event.kind)(event)

    def on_error(self, error: LeapError) -> None:
        pass

    def on_connection_event(self, event: Any) -> None:
        pass

    def on_connection_lost_event(self, event: Any) -> None:
        pass

    def on_device_event(self, event: Any) -> None:
        pass

    def on_device_lost_event(self, event: Any) -> None:
        pass

    def on_tracking_event(self, event: Any) -> None:
        pass


class VendorService:
    """What connections of the module below find.

    Attributes:
        runs: whether connections are taken up.
        open: those that are open.
        modes: tracking modes that were set.
    """

    def __init__(self) -> None:
        self.runs = True
        self.open: list[Any] = []
        self.modes: list[TrackingMode] = []

    def tell(self, kind: str, **values: Any) -> None:
        """An event for all connections; `kind` is the method of listeners that is called."""
        for connection in tuple(self.open):
            connection.events.put(SimpleNamespace(kind=kind, **values))

    def track(self, taken_us: int, *hands: SimpleNamespace) -> None:
        """A frame for all connections."""
        self.tell("on_tracking_event", timestamp=taken_us, hands=list(hands), framerate=100.0)

    def end_connections(self) -> None:
        """As when the service was killed."""
        self.tell("on_connection_lost_event")


def vendor_hand(
    number: int = 11,
    kind: HandType = HandType.Right,
    wrist: tuple[float, ...] = (100.0, 200.0, -50.0),
) -> SimpleNamespace:
    """A hand flat above the device, fingers away from the person; its vectors are iterable."""
    return SimpleNamespace(
        id=number,
        type=kind,
        confidence=1.0,
        palm=SimpleNamespace(normal=(0.0, -1.0, 0.0), direction=(0.0, 0.0, -1.0)),
        arm=SimpleNamespace(prev_joint=(110.0, 150.0, 200.0), next_joint=wrist),
    )


def vendor_leap(service: VendorService) -> ModuleType:
    """The module, for `sys.modules`."""

    class Connection:
        def __init__(self, *, listeners: list[Listener], poll_timeout: float = 1.0) -> None:
            self._listeners, self._poll_timeout = listeners, poll_timeout
            self._ending = threading.Event()
            self._thread: threading.Thread | None = None
            self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def connect(self, *, timeout: float = 10.0) -> None:
            if not service.runs:
                raise LeapTimeoutError("Did not received expected event in time")
            service.open.append(self)
            self.events.put(SimpleNamespace(kind="on_connection_event"))
            self._thread = threading.Thread(target=self._poll)
            self._thread.start()

        def disconnect(self) -> None:
            if self._thread is not None:
                self._ending.set()
                self._thread.join()
                service.open.remove(self)

        def set_tracking_mode(self, mode: TrackingMode) -> None:
            service.modes.append(mode)

        def _poll(self) -> None:
            while not self._ending.is_set():
                try:
                    event = self.events.get(timeout=self._poll_timeout)
                except queue.Empty:
                    for listener in self._listeners:
                        listener.on_error(LeapTimeoutError())
                    continue
                for listener in self._listeners:
                    try:
                        listener.on_event(event)
                    except Exception as error:
                        print(f"Caught exception in listener callback: {error}", file=sys.stderr)

    module = ModuleType("leap")
    for part in (Connection, HandType, LeapError, Listener, TrackingMode):
        setattr(module, part.__name__, part)
    return module
