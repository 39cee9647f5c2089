"""Parameters of the Leap node."""

from __future__ import annotations

from dataclasses import dataclass

from dexgrasp_leap.wrist_tracker import TrackingConfig
from dexgrasp_models.parameters import choice, parameter, text


@dataclass(frozen=True)
class LeapParameters(TrackingConfig):
    """Where the device's service is, beside which hand is followed and how."""

    transport: str = choice(
        "websocket", ("websocket", "leapc"), "the service's WebSocket, or the vendor's library"
    )
    host: str = text("127.0.0.1", "of the WebSocket: address of the machine with the device")
    port: int = parameter(6437, 1, 65535, "", "of the WebSocket")
