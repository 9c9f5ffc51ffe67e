"""A TCP proxy that fails the way networks do.

The failure that matters most is the half-open connection: a router forgets it, both ends
believe in it, nobody is told. A watch cut off like that reports no error and no event, for
minutes. No server can be asked to do it, so it is done between client and server.
"""

import asyncio
import enum
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.controlplane import ports

CHUNK = 65536
CALL_SECONDS = 10.0
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _Mode(enum.Enum):
    FORWARD = enum.auto()
    CUT = enum.auto()


@dataclass(eq=False, slots=True)
class _Link:
    """One client connection and, unless it was opened while cut, its connection to the target."""

    client: asyncio.StreamWriter
    target: asyncio.StreamWriter | None = None
    mode: _Mode = _Mode.FORWARD
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def reset(self) -> None:
        """End it as a peer that has lost all memory of it would: with a reset."""
        self.gone.set()
        for writer in self._writers():
            with suppress(OSError):  # it may be closed already
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            writer.transport.abort()

    async def close(self) -> None:
        """Close what is still open, after what was written has been sent."""
        for writer in self._writers():
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _writers(self) -> Iterator[asyncio.StreamWriter]:
        return filter(None, (self.client, self.target))


class TcpProxy:
    """Forwards a loopback port to a target, from a thread of its own, inside the `with` block.

    Each control method has taken effect when it returns. No byte passes a cut connection,
    and none that it swallowed comes later: `restore` resets it, since its stream has a hole.
    """

    def __init__(self, target_host: str, target_port: int) -> None:
        self._target = (target_host, target_port)
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._new_links = _Mode.FORWARD
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy", daemon=True)
        self._reserved = ports.reserve()

    def __enter__(self) -> Self:
        """Start forwarding."""
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Reset all connections and end the thread."""
        self.refuse()
        self._call(self._settle())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS)
        self._loop.close()
        self._reserved.close()

    @property
    def url_port(self) -> int:
        """Port on 127.0.0.1, the same for as long as the proxy lives."""
        return ports.number(self._reserved)

    @property
    def connections(self) -> int:
        """How many client connections are open, cut ones included."""
        return len(self._links)

    def cut(self, *, only_established: bool = False) -> None:
        """Go half-open: connections stay up and every byte, either way, is dropped, a close too.

        New connections are accepted and then hear nothing, unless `only_established`: then
        they pass, as when a router has forgotten the old ones.
        """
        self._call(self._cut(_Mode.FORWARD if only_established else _Mode.CUT))

    def refuse(self) -> None:
        """Reset what is established and refuse what is new, as when the server is gone."""
        self._call(self._refuse())

    def restore(self) -> None:
        """Forward again. Connections that were cut are reset; the others go on."""
        self._call(self._restore())

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)

    async def _cut(self, new_links: _Mode) -> None:
        self._new_links = new_links
        for link in self._links:
            link.mode = _Mode.CUT

    async def _refuse(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
        self._reset(lambda _: True)

    async def _restore(self) -> None:
        self._new_links = _Mode.FORWARD
        self._reset(lambda link: link.mode is _Mode.CUT)
        await self._listen()

    async def _listen(self) -> None:
        if not self._server:
            self._server = await asyncio.start_server(self._accept, sock=ports.listen_beside(self._reserved))

    async def _settle(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _reset(self, chosen: Callable[[_Link], bool]) -> None:
        for link in filter(chosen, tuple(self._links)):
            link.reset()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer, mode=self._new_links)
        if not self._server:  # refused between the kernel's accept and ours
            link.reset()
        self._links.add(link)
        task = self._loop.create_task(self._serve(link, reader))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, link: _Link, reader: asyncio.StreamReader) -> None:
        try:
            if link.mode is _Mode.CUT:
                await _pump(link, reader, None)
            else:
                await self._join(link, reader)
        finally:
            self._links.discard(link)
            await link.close()

    async def _join(self, link: _Link, reader: asyncio.StreamReader) -> None:
        try:
            from_target, link.target = await asyncio.open_connection(*self._target)
        except OSError:
            link.reset()
        if link.gone.is_set() or not link.target:
            return
        await asyncio.gather(_pump(link, reader, link.target), _pump(link, from_target, link.client))


async def _pump(link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter | None) -> None:
    """Carry one direction until it ends. A cut link ends by `reset` alone."""
    with suppress(OSError):
        while data := await source.read(CHUNK):
            if sink and link.mode is _Mode.FORWARD:
                sink.write(data)
                await sink.drain()
    if link.mode is _Mode.CUT:
        await link.gone.wait()
    elif sink and sink.can_write_eof() and not sink.is_closing():
        with suppress(OSError):  # the other side may have gone this instant
            sink.write_eof()
