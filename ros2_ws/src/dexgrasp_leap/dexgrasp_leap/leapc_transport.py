"""The service over the vendor's own library, LeapC, by its Python binding `leap`."""

from __future__ import annotations

import threading
from typing import Any

from dexgrasp_leap.frames import FrameError, LeapFrame, SeenHand, seen_hand
from dexgrasp_leap.transport import Receiver, ServiceError

WAIT = 0.1
"""Seconds after which it is looked whether the connection has ended, or is to stop."""
OPEN = 1.0
"""Seconds that the service has to take up a connection."""
MISSING = (
    "transport leapc needs Ultraleap's hand tracking software, which brings libLeapC, and its"
    " binding for Python: install both from Ultraleap (leapc-cffi and leapc-python-api of its"
    " leapc-python-bindings), with LEAPSDK_INSTALL_LOCATION naming the folder of the SDK where it"
    " is not the usual one; or set transport to websocket"
)


class LeapCMissingError(ValueError):
    """The vendor's binding or library is not installed; says what to install."""


def import_leap() -> Any:
    """The vendor's module.

    Raises:
        LeapCMissingError: it can't be imported.
    """
    try:
        import leap
    except Exception as error:  # the module raises plain exceptions where it finds no library
        raise LeapCMissingError(f"{MISSING} ({error})") from error
    return leap


class LeapCTransport:
    """LeapC; each connection has a thread of the vendor's, in which its events come.

    Raises:
        LeapCMissingError: as `import_leap`.
    """

    service = "the hand tracking service, by LeapC"
    advice = "is Ultraleap's hand tracking service running on this machine?"

    def __init__(self) -> None:
        self._leap = import_leap()

    def follow(self, receiver: Receiver, stop: threading.Event) -> None:
        leap = self._leap
        ended = _Ended()
        connection = leap.Connection(
            listeners=[_listener(leap, receiver, ended)], poll_timeout=WAIT
        )
        try:
            connection.connect(timeout=OPEN)
            connection.set_tracking_mode(leap.TrackingMode.Desktop)
            while not stop.is_set() and not ended.wait(WAIT):
                continue
        except leap.LeapError as error:
            raise ServiceError(f"it does not answer ({type(error).__name__})") from error
        finally:
            connection.disconnect()
        if ended.error is not None:
            raise ended.error


class _Ended(threading.Event):
    """Whether the connection is over, and with what; the vendor's thread only prints errors."""

    error: Exception | None = None

    def because(self, error: Exception) -> None:
        self.error = self.error or error
        self.set()


def _listener(leap: Any, receiver: Receiver, ended: _Ended) -> Any:
    """Hands the vendor's events on."""

    class Listener(leap.Listener):
        def on_connection_event(self, event: Any) -> None:
            receiver.connected()

        def on_connection_lost_event(self, event: Any) -> None:
            ended.because(ServiceError("it has ended the connection"))

        def on_device_event(self, event: Any) -> None:
            receiver.attached(str(event.device.id), True)

        def on_device_lost_event(self, event: Any) -> None:
            receiver.attached(str(event.device.id), False)

        def on_tracking_event(self, event: Any) -> None:
            if ended.is_set():
                return
            try:
                receiver.take(frame_of(event, leap.HandType.Left))
            except Exception as error:
                ended.because(error)

    return Listener()


def frame_of(event: Any, left: Any) -> LeapFrame:
    """The frame that a tracking event tells; hands that are no good are left out.

    Args:
        event: the vendor's.
        left: the vendor's type of a left hand.
    """
    hands, problems = [], []
    for told in event.hands:
        try:
            hands.append(_hand(told, left))
        except FrameError as error:
            problems.append(str(error))
    return LeapFrame(int(event.timestamp), tuple(hands), tuple(problems))


def _hand(told: Any, left: Any) -> SeenHand:
    return seen_hand(
        told.id,
        told.type == left,
        told.confidence,
        list(told.arm.next_joint),
        list(told.palm.normal),
        list(told.palm.direction),
    )
