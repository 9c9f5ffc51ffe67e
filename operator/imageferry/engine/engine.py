"""The workers, and what feeds them.

Nothing is decided before this process's own first full LIST is in: what the watch has
not told yet must not look absent. Every error of a pass ends in its own worker, with a
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
from imageferry.engine.ports import Body, ConflictError, GoneError, KubernetesApi, UnreachableError
from imageferry.engine.queue import WorkQueue
from imageferry.migration.timing import Timing

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
    """Runs workers over all migrations until it is stopped."""

    def __init__(  # noqa: PLR0913 - each is a part of its own, put together in one place
        self,
        kubernetes: KubernetesApi,
        passes: Passes,
        *,
        intake: Intake,
        timing: Timing,
        workers: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kubernetes = kubernetes
        self._passes = passes
        self._timing = timing
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
        self._compared_at = clock()

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

    async def start(self) -> None:
        """Read all migrations, then start the workers."""
        bodies = await self._first_list()
        log.info("listed", migrations=len(bodies))
        self._compared_at = self._clock()
        for body in bodies:
            self._intake.offer(body)
        for uid in self._intake.uids:
            self._queue.add(uid)
        self._tasks = [asyncio.create_task(self._work(), name=f"worker-{n}") for n in range(self._workers)]
        self._tasks.append(asyncio.create_task(self._compare(), name="compare"))

    async def stop(self, grace: float) -> None:
        """Let passes that have begun end, for `grace` seconds at most; start none."""
        self._queue.close()
        _, pending = await asyncio.wait(self._tasks[:-1], timeout=grace) if self._tasks else (set(), set())
        for task in (*pending, *self._tasks[-1:]):
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
        if now - self._compared_at > 2 * self._timing.compare.total_seconds() + UNREACHED_SECONDS:
            return f"no comparison with the API server has succeeded for {now - self._compared_at:.0f} s"
        return None

    async def _first_list(self) -> list[Body]:
        while True:
            try:
                return list(await self._kubernetes.list())
            except UnreachableError as error:
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
        if body is None:
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
        except UnreachableError as error:
            log.warning("unreachable", uid=key, error=str(error))
            self._queue.add_after(key, min(RETRY_FIRST * 2.0**memory.unreached, RETRY_MOST))
            memory.unreached += 1
        else:
            memory.unreached = 0
            self._plan(key, result)

    def _plan(self, key: str, result: Result) -> None:
        """Look again when it is time, or at once when news came during the pass that are not our own writes."""
        latest = self._intake.get(key)
        if latest is None:
            return
        if version_of(latest) > version_of(result.body):
            self._queue.add(key)
            return
        self._intake.offer(result.body)
        self._wake()
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
