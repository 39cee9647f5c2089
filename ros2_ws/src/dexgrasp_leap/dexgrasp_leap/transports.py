"""Which ways to the device's service there are."""

from __future__ import annotations

from dexgrasp_leap.leapc_transport import LeapCTransport
from dexgrasp_leap.transport import Transport
from dexgrasp_leap.websocket_transport import WebSocketTransport


def make_transport(name: str, host: str, port: int) -> Transport:
    """`leapc`, or else the WebSocket at an address.

    Raises:
        LeapCMissingError: the vendor's library is asked for and not installed.
    """
    return LeapCTransport() if name == "leapc" else WebSocketTransport(host, port)
