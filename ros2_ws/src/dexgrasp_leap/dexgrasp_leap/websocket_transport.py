"""The service over its WebSocket of JSON, version 6 of the protocol."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from dexgrasp_leap.frames import FrameError, LeapFrame, SeenHand, seen_hand
from dexgrasp_leap.transport import Receiver, ServiceError

VERSION = 6
ORDERS = ('{"background":true}', '{"optimizeHMD":false}')
"""Frames also while another program has the focus; the device lies on the table. The service
compares the texts: no space may be added."""
WAIT = 0.2
"""Seconds for a message, after which it is looked whether to stop."""
OPEN = 1.0
"""Seconds that a service has to take up a connection."""
CLOSE = 0.2
"""Seconds that it has to agree to its end."""
SIGN_OF_LIFE = 2.0
"""Seconds from one ping to the next, and for its answer, as with a cable pulled."""
WAITING = 64
"""Messages that may wait to be read, beside those in the socket."""


@dataclass(frozen=True)
class DeviceState:
    """Whether a device is plugged in."""

    device: str
    there: bool


class WebSocketTransport:
    """The WebSocket of the Ultraleap or Leap Motion service.

    Args:
        host: address of its machine, or a name.
        port: on which it listens.
    """

    advice = "is the Leap's service running there, with its WebSocket, and are host and port right?"

    def __init__(self, host: str, port: int) -> None:
        self.service = f"ws://{host}:{port}/v{VERSION}.json"

    def follow(self, receiver: Receiver, stop: threading.Event) -> None:
        try:
            with connect(
                self.service,
                open_timeout=OPEN,
                close_timeout=CLOSE,
                ping_interval=SIGN_OF_LIFE,
                ping_timeout=SIGN_OF_LIFE,
                max_queue=WAITING,
                compression=None,
                proxy=None,
            ) as connection:
                receiver.connected()
                for order in ORDERS:
                    connection.send(order)
                while not stop.is_set():
                    try:
                        text = connection.recv(timeout=WAIT)
                    except TimeoutError:
                        continue
                    hear(text, receiver)
        except (OSError, WebSocketException) as error:
            raise ServiceError(str(error) or type(error).__name__) from error


def hear(text: str | bytes, receiver: Receiver) -> None:
    """Hands on what a message of the service says.

    Raises:
        ServiceError: it speaks another version of the protocol.
        LateFrameError: the receiver's.
    """
    try:
        told = read(text)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
        receiver.refuse("a message that makes no sense")
        return
    match told:
        case LeapFrame():
            receiver.take(told)
        case DeviceState(device, there):
            receiver.attached(device, there)
        case int() if told != VERSION:
            raise ServiceError(f"it speaks version {told} of its protocol, and not {VERSION}")


def read(text: str | bytes) -> LeapFrame | DeviceState | int | None:
    """What a message tells: a frame, a device's state, the protocol's version, or something else.

    A hand that is no good is left out of its frame.

    Raises:
        ValueError, LookupError, TypeError, AttributeError, ArithmeticError: nothing that makes
            sense; the service itself writes `nan` where it has no number, which is no JSON.
    """
    message = json.loads(text)
    if "hands" in message:
        return _frame(message)
    if "event" in message:
        state = message["event"]["state"]
        return DeviceState(str(state["id"]), bool(state["attached"]))
    return int(message["version"]) if "version" in message else None


def _frame(message: dict[str, Any]) -> LeapFrame:
    hands, problems = [], []
    for told in message["hands"]:
        try:
            hands.append(_hand(told))
        except FrameError as error:
            problems.append(str(error))
    return LeapFrame(int(message["timestamp"]), tuple(hands), tuple(problems))


def _hand(told: dict[str, Any]) -> SeenHand:
    return seen_hand(
        int(told["id"]),
        told["type"] == "left",
        float(told["confidence"]),
        told["wrist"],
        told["palmNormal"],
        told["direction"],
    )
