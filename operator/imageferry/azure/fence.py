"""The last check before a mutation leaves: whether this process still may write.

Between the decision and the wire lie a token, a connection and an event loop that may stand
still, so the answer is asked for where the bytes are written: in `send`, which writes a request
without a body, and in `write_bytes`, which writes one with a body, from a task of its own.
"""

from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.connector import Connection

from imageferry.migration.errors import BackOffError, MigrationError

READS = frozenset({"GET", "HEAD"})


def refusal() -> MigrationError:
    """Return the error of a mutation that was not sent."""
    return BackOffError("LeaseLost", "the Lease is not held any more; nothing was sent", definite=True)


def fenced(may_write: Callable[[], bool]) -> type[aiohttp.ClientRequest]:
    """Return aiohttp's request, refusing to put a mutation on the wire when `may_write` says no."""

    class Fenced(aiohttp.ClientRequest):
        def _refused(self) -> bool:
            return self.method not in READS and not may_write()

        async def send(self, conn: Connection) -> aiohttp.ClientResponse:
            if self._refused():
                raise refusal()
            return await super().send(conn)

        async def write_bytes(
            self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
        ) -> None:
            if not self._refused():
                await super().write_bytes(writer, conn, content_length)
            elif conn.protocol is not None:
                conn.protocol.set_exception(refusal())  # which whoever waits for the answer gets

    return Fenced
