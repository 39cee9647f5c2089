"""The viewer's web server, on exactly the address that was asked for."""

from __future__ import annotations

import errno
import socket

import viser


class AddressError(OSError):
    """The viewer cannot listen where it was told to; the message says what to change."""


def start_server(host: str, port: int, label: str) -> viser.ViserServer:
    """A viser server listening on `host` and `port`.

    viser by itself takes the next free port when one is busy; then the address that was announced
    is another program's.

    Raises:
        AddressError: the port is taken, or the host is not an address of this machine.
    """
    _check_free(host, port)
    server = viser.ViserServer(host=host, port=port, label=label, verbose=False)
    if port and server.get_port() != port:  # taken in between
        server.stop()
        raise AddressError(_busy(port))
    return server


def _check_free(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server does: a port that only waits for its last connection to fade is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressError(_busy(port)) from None
        raise AddressError(
            f"the viewer cannot listen on {host}:{port} ({error}): set the parameters 'host' and"
            " 'port' to an address of this machine and a free port"
        ) from None


def _busy(port: int) -> str:
    return (
        f"port {port} is taken by another program: close it, or give the viewer another one"
        " with its parameter 'port'"
    )
