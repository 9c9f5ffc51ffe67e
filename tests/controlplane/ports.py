"""Loopback ports that nobody else can take between their choice and their use.

A port found free and let go may be taken by a neighbour before the server binds it,
and then a client talks to the neighbour. So the port is never let go: a socket that
is bound with SO_REUSEPORT and never listens holds it, and the server, told to share
ports, binds beside it. The kernel gives a shared port to nobody who asks for any port.
"""

import socket

LOOPBACK = "127.0.0.1"


def reserve() -> socket.socket:
    """Bind a free port and hold it until the socket is closed. It gets no connections."""
    return _shared(0)


def listen_beside(reserved: socket.socket) -> socket.socket:
    """Listen on the reserved port; closing this one keeps the reservation."""
    listener = _shared(number(reserved))
    listener.listen(128)
    return listener


def free() -> int:
    """Port that was free a moment ago, for a server that shares with nobody."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return number(probe)


def number(bound: socket.socket) -> int:
    """Port number of a bound socket."""
    port: int = bound.getsockname()[1]
    return port


def _shared(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((LOOPBACK, port))
    return made
