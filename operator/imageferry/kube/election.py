"""Holding the Lease, from a thread with an event loop and a connection of its own.

The engine's loop can be busy for seconds (a relist of 10,000); a renewal must not wait for it.
Invariants: the deadline counts from before the renewing request was sent; nobody else may take
the Lease before it (see `lease`); and whoever has held the Lease and does not any more ends
this process, whatever the engine is doing.
"""

import asyncio
import os
import socket
import sys
import threading
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import structlog
from kubernetes.aio import client

from imageferry.engine.ports import ConflictError, GoneError, UnreachableError
from imageferry.kube import access, lease
from imageferry.kube.client import translated
from imageferry.kube.lease import LeaseTiming, Record

log = structlog.get_logger()

LOST = 3
"""Exit code of a process whose Lease was lost (docs/settings.md)."""
LAST_WORDS_SECONDS = 1.0
"""What the last log line gets: standard error may be a pipe that nobody reads."""
NEVER = float("-inf")
POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
LEASES = ("coordination.k8s.io", "v1")


def own_namespace() -> str:
    """Return the pod's namespace, or the one that `deploy/` uses."""
    return POD_NAMESPACE.read_text().strip() if POD_NAMESPACE.exists() else "imageferry-system"


def steady() -> float:
    """Return seconds that no wall clock moves and that pass while the machine sleeps, too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Election:
    """A candidate for the Lease inside the `async with` block, and its holder from some time on."""

    def __init__(self, *, namespace: str, timing: LeaseTiming) -> None:
        self.identity = f"{socket.gethostname()}_{uuid.uuid4()}"
        self._namespace = namespace
        self._timing = timing
        self._record: Record = {}
        self._deadline = NEVER
        self._won = asyncio.Event()
        self._told_to_leave = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._main, name="lease", daemon=True)

    async def __aenter__(self) -> Self:
        """Become a candidate."""
        self._engine_loop = asyncio.get_running_loop()
        self._configuration = await access.read_and_refresh()
        log.info("candidate", identity=self.identity, namespace=self._namespace)
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the Lease up, if it is held, so that another can take it at once."""
        with suppress(RuntimeError):  # the thread has ended, and its loop with it
            self._loop.call_soon_threadsafe(self._told_to_leave.set)
        await asyncio.to_thread(self._thread.join, self._timing.renew)

    @property
    def held(self) -> bool:
        """Whether the Lease is held this very moment; for any thread."""
        return steady() < self._deadline

    async def acquired(self) -> None:
        """Wait until the Lease is held."""
        await self._won.wait()

    def trouble(self) -> str | None:
        """Return why nothing can come of this candidate any more; None while it is well."""
        return None if self._thread.is_alive() else "the lease thread has ended"

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._stand())
        finally:
            if not self._told_to_leave.is_set():
                self._end(f"the lease thread has ended: {sys.exception()!r}")

    async def _stand(self) -> None:
        async with client.ApiClient(self._configuration) as api:
            self._api = client.CustomObjectsApi(api)
            await self._acquire()
            if self.held:
                log.info("leading", identity=self.identity, transitions=self._record["spec"]["leaseTransitions"])
                self._engine_loop.call_soon_threadsafe(self._won.set)
                await self._keep()
                await self._give_up()

    async def _acquire(self) -> None:
        """Look at the Lease until it may be taken, and take it; a conflict means that another was first."""
        seen: lease.Sight | None = None
        pause = 0.0
        while not self.held and not await self._leave(pause):
            pause = self._timing.retry
            try:
                async with asyncio.timeout(self._timing.request):
                    record = await self._read()
                    now = steady()
                    seen = lease.sight(seen, record, now)
                    if (wait := lease.takeable_at(seen, self.identity, self._timing) - now) > 0:
                        pause = min(pause, wait)
                    else:
                        await self._take(record)
            except ConflictError as error:
                log.info("lease not taken", error=str(error))
            except (GoneError, UnreachableError, TimeoutError) as error:
                log.warning("lease", error=str(error) or "no answer in time")

    async def _keep(self) -> None:
        """Renew until told to leave; end the process when the deadline passes or another holds it."""
        while not await self._leave(min(self._timing.retry, self._left())):
            if not self.held:
                self._end("it could not be renewed in time")
            try:
                async with asyncio.timeout(min(self._timing.request, self._left())):
                    await self._renew()
            except (UnreachableError, TimeoutError) as error:
                log.warning("lease", error=str(error) or "no answer in time")

    async def _renew(self) -> None:
        try:
            await self._take(self._record)
        except (ConflictError, GoneError) as error:
            record = await self._read()
            if record is None or lease.holder(record) != self.identity:
                self._end(f"{error}; the holder is {record and lease.holder(record)!r}")
            self._record = record  # somebody labelled it, or the answer to an earlier renewal was lost

    async def _read(self) -> Record | None:
        try:
            with translated("the Lease"):
                found: Record = await self._api.get_namespaced_custom_object(
                    *LEASES, self._namespace, "leases", lease.NAME
                )
        except GoneError:
            return None
        return found

    async def _take(self, record: Record | None) -> None:
        sent = steady()
        wanted = lease.taken(record, self.identity, self._timing, datetime.now(UTC))
        self._record = await (self._create(wanted) if record is None else self._replace(wanted))
        self._deadline = sent + self._timing.renew

    async def _create(self, wanted: Record) -> Record:
        with translated("the Lease"):
            made: Record = await self._api.create_namespaced_custom_object(*LEASES, self._namespace, "leases", wanted)
        return made

    async def _replace(self, wanted: Record) -> Record:
        """Write it if it still has the resourceVersion that it was read with."""
        with translated("the Lease"):
            replaced: Record = await self._api.replace_namespaced_custom_object(
                *LEASES, self._namespace, "leases", lease.NAME, wanted
            )
        return replaced

    async def _give_up(self) -> None:
        self._deadline = NEVER
        try:
            async with asyncio.timeout(self._timing.request):
                await self._replace(lease.given_up(self._record))
            log.info("lease given up", identity=self.identity)
        except (ConflictError, GoneError, UnreachableError, TimeoutError) as error:
            log.warning("lease not given up, it will expire", error=str(error))

    def _left(self) -> float:
        return max(self._deadline - steady(), 0.0)

    async def _leave(self, seconds: float) -> bool:
        """Wait; return whether this candidate is to leave."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._told_to_leave.wait(), seconds)
        return self._told_to_leave.is_set()

    def _end(self, why: str) -> NoReturn:
        """End the process; the deadline first, so that nothing is sent while the line is written."""
        self._deadline = NEVER
        timer = threading.Timer(LAST_WORDS_SECONDS, os._exit, (LOST,))
        timer.daemon = True
        timer.start()
        log.error("lease lost", identity=self.identity, why=why)
        os._exit(LOST)
