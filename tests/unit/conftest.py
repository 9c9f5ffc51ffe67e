"""Unit tests open no socket: what they test is pure, and a slip shows here and not on a plane."""

import socket
from typing import NoReturn

import pytest

REFUSED = ("bind", "connect", "connect_ex", "sendto")


class SocketRefusedError(BaseException):
    """A unit test tried to use the network. No handler for Exception or OSError hides it."""


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse name look-ups and every socket that would listen, connect or send."""
    for name in REFUSED:
        monkeypatch.setattr(socket.socket, name, _refuse)
    monkeypatch.setattr(socket, "getaddrinfo", _refuse)


def _refuse(*address: object, **_options: object) -> NoReturn:
    raise SocketRefusedError(
        f"a unit test opens no socket, asked for {address[1:] or address}: move it to tests/cluster"
    )
