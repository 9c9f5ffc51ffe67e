"""One operator process: the real Engine, Passes and Azure adapter, made to work step by step on virtual time.

Nothing runs on its own: `work` lets the engine's own worker take what is due now, and
returns. The process's clock is the wall's at its start plus the true time since, as
`cli.operator.steady_clock` makes it.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from imageferry.azure import Azure, CloudConfig, CredentialConfig, CredentialKind
from imageferry.engine.engine import Engine
from imageferry.engine.intake import Intake, uid_of, version_of
from imageferry.engine.passes import Passes, Terms
from imageferry.engine.ports import KubernetesApi
from imageferry.engine.queue import WorkQueue
from imageferry.migration.scopes import Scope, Scopes
from imageferry.migration.steps import Brake
from imageferry.migration.timing import Timing
from tests.walks.apiserver import Connection, Event
from tests.walks.line import Line
from tests.walks.oracle import CLUSTER, Pass, Sight
from tests.walks.transport import HOST

TIMING = Timing()
CLOUD = CloudConfig(
    endpoint=f"https://{HOST}",
    audience=f"https://{HOST}",
    credential=CredentialConfig(
        kind=CredentialKind.CLIENT_SECRET, discovery=False, tenant_id="tenant", client_id="client", client_secret="word"
    ),
)
AT_ONCE = 12
"""So many passes of one migration may follow each other while no time passes; more is a hot loop."""


class _Queue(WorkQueue):
    """Gives what is wanted now, then None, where the real one waits."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.taken = Counter[str]()

    async def get(self) -> str | None:
        self._collect()
        while self._dirty:
            key, _ = self._dirty.popitem(last=False)
            self._active.add(key)
            self.taken[key] += 1
            if self.taken[key] <= AT_ONCE:
                return key
            self.done(key)
        return None

    def next_due(self) -> float | None:
        """Return when the next key wants a pass."""
        return min(self._due.values(), default=None)


def _nothing(*_: object) -> None:
    """Do nothing."""


class Leading:
    """Leads always: which process works is the walk's to say, and what the Lease is worth is tested by itself."""

    held = True

    async def acquired(self) -> None:
        """Return at once."""

    def trouble(self) -> None:
        """Have none."""


class SteppedEngine(Engine):
    """The engine without tasks of its own; `began` and `ended` are told of every pass."""

    def __init__(
        self, passes: Passes, kubernetes: KubernetesApi, intake: Intake, *, clock: Callable[[], float]
    ) -> None:
        super().__init__(passes, kubernetes, intake, leadership=Leading(), workers=0, clock=clock)
        self._queue: _Queue = _Queue(clock)
        self.began: Callable[[str], None] = _nothing
        self.ended: Callable[[str, BaseException | None], None] = _nothing

    async def list_all(self) -> None:
        """Do what `start` does before its workers begin."""
        for body in await self._first_list():
            self._intake.offer(body)
        self.want_all()

    async def work(self) -> Counter[str]:
        """Run the passes that are due now; returns how many each migration had."""
        self._queue.taken.clear()
        await self._work()
        return self._queue.taken

    async def compare_now(self) -> None:
        """Compare with a full LIST, as `_compare` does now and then."""
        known = self._intake.uids
        await self._take(known, list(await self._kubernetes.list_metadata()))

    def want_all(self) -> None:
        """Want a pass of every migration now."""
        for uid in sorted(self._intake.uids):
            self._queue.add(uid)

    def knows(self, body: Mapping[str, Any]) -> bool:
        """Whether it knows this very version of a resource."""
        known = self._intake.get(uid_of(body))
        return known is not None and version_of(known) == version_of(body)

    def next_due(self) -> float | None:
        """Return when the next pass is due."""
        return self._queue.next_due()

    def _wake(self) -> None:
        """Do what the engine does, in an order that a seed repeats."""
        for uid in sorted(self._intake.take_woken()):
            self._queue.add(uid)

    async def _pass(self, key: str) -> None:
        self.began(key)
        error: BaseException | None = None
        try:
            await super()._pass(key)
        except BaseException as exc:
            error = exc
            raise
        finally:
            self.ended(key, error)


ANYWHERE = Scopes(by_namespace={"*": Scope(("*",), ("*",))})


class Process:
    """An operator process, with the events that have not arrived at it yet, and what it saw and does."""

    def __init__(
        self,
        line: Line,
        kubernetes: Connection,
        azure: Azure,
        *,
        now: Callable[[], datetime],
        brake: Brake,
        scopes: Scopes = ANYWHERE,
    ) -> None:
        self.line, self.kubernetes = line, kubernetes
        self.events: list[Event] = []
        self.deaf = False
        self.skew = timedelta()
        self.current: Pass | None = None
        self.sights: dict[str, Sight] = {}
        self.brake = brake
        self.deletions: list[datetime] = []
        """When it deleted images lately."""
        self._now, self._epoch = now, now()
        intake, terms = Intake(), Terms(CLUSTER, TIMING, brake, scopes=scopes)
        passes = Passes(azure, kubernetes, intake, leadership=Leading(), terms=terms, clock=lambda: now() + self.skew)
        self.engine = SteppedEngine(passes, kubernetes, intake, clock=self._elapsed)

    def hear(self, event: Event) -> None:
        """Queue an event of the watch, unless the watch is deaf."""
        if not self.deaf:
            self.events.append(event)

    def deliver(self, count: int | None = None) -> None:
        """Let the oldest events arrive, or all."""
        count = len(self.events) if count is None else count
        arriving, self.events = self.events[:count], self.events[count:]
        for kind, body in arriving:
            self.engine.observe(kind, body)

    def due_at(self) -> datetime | None:
        """Return when the next pass is due, in true time."""
        seconds = self.engine.next_due()
        return None if seconds is None else self._epoch + timedelta(seconds=seconds)

    def _elapsed(self) -> float:
        return (self._now() - self._epoch).total_seconds()
