"""The workers, and what feeds them.

No pass is begun without the Lease, and none before a full LIST that was begun with it: what
the watch has not told yet must not look absent. Every error of a pass ends in its own worker, with a
later pass for the same migration; the top loop is the only place that catches all.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from imageferry.engine.intake import Intake, uid_of, version_of
from imageferry.engine.memory import Memory
from imageferry.engine.passes import Passes, Result
from imageferry.engine.ports import (
    Body,
    ConflictError,
    GoneError,
    KubernetesApi,
    Leadership,
    LeaseLostError,
    UnreachableError,
)
from imageferry.engine.queue import WorkQueue

log = structlog.get_logger()

STUCK_SECONDS = 600.0
"""A pass makes a handful of calls of at most a minute each; one that takes longer hangs."""
LIST_RETRY_SECONDS = 2.0
DEAF_COMPARISONS = 2
"""A watch that ended is there again after a minute; comparisons lie further apart."""
RETRY_FIRST, RETRY_MOST = 1.0, 60.0
"""Seconds before a pass that found no API server is repeated; each looks at Azure too, so they must not be hot."""
UNREACHED_SECONDS = 600.0
"""How late a comparison may be: tries cost seconds, so what fails for so long does not pass by itself."""


class Engine:
    """Runs workers over all migrations, from when the Lease is held until it is stopped."""

    def __init__(  # noqa: PLR0913 - each is a part of its own, put together in one place
        self,
        passes: Passes,
        kubernetes: KubernetesApi,
        intake: Intake,
        *,
        leadership: Leadership,
        workers: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kubernetes = kubernetes
        self._leadership = leadership
        self._passes = passes
        self._timing = passes.timing
        self._workers = workers
        self._intake = intake
        self._clock = clock
        self._queue = WorkQueue(clock)
        self._memories: dict[str, Memory] = {}
        self._since: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._unheard = 0
        """Comparisons in a row that knew more than the watch has told; any event resets it."""
        self._told = 0
        """The newest resourceVersion that the watch has told."""
        self._compared_at: float | None = None
        """When the API server last told of everything; None while this is a standby."""

    @property
    def known(self) -> frozenset[str]:
        """Uids of the migrations that it knows."""
        return self._intake.uids

    def observe(self, kind: str | None, body: Body) -> None:
        """Take an event of the watch: ADDED, MODIFIED, DELETED, or None for the watch's own first list."""
        self._unheard = 0
        self._told = max(self._told, version_of(body))
        if kind == "DELETED":
            self._forget(uid_of(body))
        elif self._intake.offer(body) and uid_of(body) not in self._since:
            self._queue.add(uid_of(body))  # during a pass: it may be the echo of our own write, see `_pass`
        self._wake()

    def start(self) -> None:
        """Begin to lead once the Lease is held; until then this is a standby, which only watches."""
        self._tasks = [asyncio.create_task(self._lead(), name="lead")]

    async def stop(self, grace: float) -> None:
        """Let passes that have begun end, for `grace` seconds at most; start none."""
        self._queue.close()
        lead, workers = self._tasks[:1], self._tasks[1:]
        _, pending = await asyncio.wait(workers, timeout=grace) if workers else (set(), set())
        for task in (*pending, *lead):
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    def trouble(self) -> str | None:
        """Return why this process should be replaced; None while it is well."""
        dead = [task.get_name() for task in self._tasks if task.done()]
        if dead and not self._queue.closed:
            return f"ended: {', '.join(dead)}"
        now = self._clock()
        stuck = [uid for uid, since in self._since.items() if now - since > STUCK_SECONDS]
        if stuck:
            return f"passes that hang: {', '.join(stuck)}"
        if self._unheard >= DEAF_COMPARISONS:
            return f"the watch is deaf: {self._unheard} comparisons in a row found news that it did not tell"
        unreached = now - self._compared_at if self._compared_at is not None else 0.0
        if unreached > 2 * self._timing.compare.total_seconds() + UNREACHED_SECONDS:
            return f"no comparison with the API server has succeeded for {unreached:.0f} s"
        return self._leadership.trouble()

    async def _lead(self) -> None:
        """Wait for the Lease, read all migrations, start the workers, and then look after them."""
        await self._leadership.acquired()
        known = self._intake.uids
        bodies = await self._first_list()
        log.info("listed", migrations=len(bodies))
        self._compared_at = self._clock()
        for gone in known - {uid_of(body) for body in bodies}:
            self._forget(gone)
        for body in bodies:
            self._intake.offer(body)
            self._queue.add(uid_of(body))
        self._tasks += [asyncio.create_task(self._work(), name=f"worker-{n}") for n in range(self._workers)]
        await self._compare()

    async def _first_list(self) -> list[Body]:
        while True:
            try:
                return list(await self._kubernetes.list())
            except (GoneError, UnreachableError) as error:  # gone: the CRD is not there yet
                log.warning("list", error=str(error))
                await asyncio.sleep(LIST_RETRY_SECONDS)

    async def _work(self) -> None:
        while (key := await self._queue.get()) is not None:
            self._since[key] = self._clock()
            try:
                await self._pass(key)
            except Exception:
                log.exception("pass", uid=key)
                self._queue.add_after(key, self._timing.retry_most.total_seconds())
            finally:
                del self._since[key]
                self._queue.done(key)

    async def _pass(self, key: str) -> None:
        body = self._intake.get(key)
        if body is None or not self._leadership.held:
            return
        memory = self._memories.setdefault(key, Memory())
        try:
            result = await self._passes.run(body, memory)
        except ConflictError as error:
            log.info("outdated", uid=key, error=str(error))
            await self._look_again(key, body)
        except GoneError as error:
            log.info("outdated", uid=key, error=str(error))
            self._forget(key)
        except LeaseLostError as error:
            log.warning("outdated", uid=key, error=str(error))
        except UnreachableError as error:
            log.warning("unreachable", uid=key, error=str(error))
            self._queue.add_after(key, min(RETRY_FIRST * 2.0**memory.unreached, RETRY_MOST))
            memory.unreached += 1
        else:
            memory.unreached = 0
            self._plan(key, result)

    def _plan(self, key: str, result: Result) -> None:
        """Look again when it is time, or at once when news came during the pass that are not our own writes."""
        self._wake()
        latest = self._intake.get(key)
        if latest is None:
            return
        if version_of(latest) > version_of(result.body):
            self._queue.add(key)
            return
        self._intake.offer(result.body)
        if result.after is not None:
            self._queue.add_after(key, result.after.total_seconds())

    def _wake(self) -> None:
        """Look at once at those that waited for a migration which is through."""
        for uid in self._intake.take_woken():
            self._queue.add(uid)

    async def _look_again(self, key: str, body: Body) -> None:
        """Read a resource that has changed unheard."""
        try:
            self._intake.offer(await self._kubernetes.get(body))
            self._queue.add(key)
        except GoneError:
            self._forget(key)
        except UnreachableError:
            self._queue.add_after(key, RETRY_FIRST)

    def _forget(self, key: str) -> None:
        self._intake.forget(key)
        self._queue.forget(key)
        self._memories.pop(key, None)
        self._wake()

    async def _compare(self) -> None:
        """Compare what is known with a LIST of metadata now and then: the watch may be deaf without knowing it."""
        while True:
            await asyncio.sleep(self._timing.compare.total_seconds())
            known = self._intake.uids
            try:
                bodies = list(await self._kubernetes.list_metadata())
            except UnreachableError as error:
                log.warning("compare", error=str(error))
                continue
            self._compared_at = self._clock()
            await self._take(known, bodies)

    async def _take(self, known: frozenset[str], bodies: list[Body]) -> None:
        """Forget what is gone, and read what has changed unheard; `bodies` hold metadata alone."""
        gone = (known & self._intake.uids) - {uid_of(body) for body in bodies}
        for uid in gone:
            self._forget(uid)
        self._unheard += bool(gone) or any(version_of(body) > self._told for body in bodies)
        unheard = [body for body in bodies if self._is_news(body)]
        if gone or unheard:
            log.info("unheard", gone=len(gone), changed=len(unheard))
        for body in unheard:
            await self._look_again(uid_of(body), body)
        self._wake()

    def _is_news(self, body: Body) -> bool:
        known = self._intake.get(uid_of(body))
        return known is None or version_of(known) < version_of(body)
