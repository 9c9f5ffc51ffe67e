"""The engine says of itself when it should be replaced, and ends in good order."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from imageferry.azure import Azure, CloudConfig
from imageferry.azure.credentials import CredentialConfig, CredentialKind
from imageferry.engine.engine import Engine
from imageferry.engine.intake import Intake
from imageferry.engine.memory import Memory
from imageferry.engine.passes import Passes, Terms
from imageferry.engine.ports import Body, UnreachableError
from imageferry.migration.timing import Timing
from imageferry.migration.transitions import Notice
from tests.unit import build

OFTEN = replace(Timing(), compare=timedelta(milliseconds=5))
BOUND = 10.0
CREDENTIAL = CredentialConfig(
    CredentialKind.CLIENT_SECRET, discovery=False, tenant_id="t", client_id="operator", client_secret="s"
)


class Shelf:
    """Kubernetes with nothing but a shelf of bodies; all of them are suspended, so that Azure is never asked."""

    def __init__(self) -> None:
        self.bodies: list[Body] = []
        self.patches = 0
        self.lists = 0
        self.unreachable = False
        self.hangs = False

    def put(self, version: int) -> None:
        """Have one migration, in a newer version."""
        body = build.body({"suspend": True})
        self.bodies = [{**body, "metadata": {**body["metadata"], "resourceVersion": str(version)}}]

    async def _reach(self) -> None:
        if self.unreachable:
            raise UnreachableError("the shelf is away")
        if self.hangs:
            await asyncio.Event().wait()

    def written(self, times: int) -> bool:
        """Whether a status was written so often."""
        return self.patches >= times

    async def list(self) -> Sequence[Body]:
        """Return all."""
        self.lists += 1
        return self.bodies

    async def list_metadata(self) -> Sequence[Body]:
        """Return the metadata of all."""
        await self._reach()
        self.lists += 1
        return [{"metadata": body["metadata"]} for body in self.bodies]

    async def get(self, body: Body) -> Body:
        """Return what was asked for."""
        return next(each for each in self.bodies if each["metadata"]["uid"] == body["metadata"]["uid"])

    async def patch_status(self, body: Body, patch: Mapping[str, Any]) -> Body:
        """Store the patch's status as it comes."""
        await self._reach()
        self.patches += 1
        return {**body, "status": {**body.get("status", {}), **patch}}

    async def notify(self, body: Body, notice: Notice) -> None:
        """Forget it."""


class Lead:
    """Who leads, as a test says."""

    def __init__(self) -> None:
        self.held = True
        self.begun = asyncio.Event()
        self.dead: str | None = None

    async def acquired(self) -> None:
        """Wait until the test says so."""
        await self.begun.wait()

    def trouble(self) -> str | None:
        """Say what the test says."""
        return self.dead


@asynccontextmanager
async def _engine(
    shelf: Shelf, lead: Lead | None = None, *, timing: Timing = OFTEN, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[Engine]:
    """Give an engine that leads, or one that waits for the lead that it is given."""
    waits = lead is not None
    lead = lead or Lead()
    intake = Intake()
    async with Azure(CloudConfig(credential=CREDENTIAL), may_write=lambda: lead.held) as azure:
        passes = Passes(
            azure,
            shelf,
            intake,
            leadership=lead,
            terms=Terms("here", timing, scopes=build.SCOPES),
            clock=lambda: datetime(2026, 5, 1, tzinfo=UTC),
        )
        engine = Engine(passes, shelf, intake, leadership=lead, workers=2, clock=clock)
        engine.start()
        if not waits:
            lead.begun.set()
            await _until(lambda: _workers() == {"worker-0", "worker-1"})
        try:
            yield engine
        finally:
            await engine.stop(0 if shelf.hangs else BOUND)


class Clock:
    """Time that a test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return seconds."""
        return self.now


def _workers() -> set[str]:
    return {name for task in asyncio.all_tasks() if (name := task.get_name()).startswith("worker-")}


async def _turns() -> None:
    """Let every task that can go on go on."""
    for _ in range(100):
        await asyncio.sleep(0)


async def _until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(BOUND):
        while not look():  # noqa: ASYNC110 - what is awaited is state of ours, which fires no event
            await asyncio.sleep(0)


async def test_an_engine_at_work_is_well() -> None:
    """It has read all migrations and its workers wait."""
    shelf = Shelf()
    shelf.put(1)
    async with _engine(shelf) as engine:
        await _until(lambda: shelf.patches)
        assert engine.trouble() is None


async def test_a_dead_worker_is_trouble() -> None:
    """A worker that has ended does not come back by itself."""
    async with _engine(Shelf()) as engine:
        next(task for task in asyncio.all_tasks() if task.get_name() == "worker-1").cancel()
        await _until(lambda: "ended: worker-1" in (engine.trouble() or ""))


async def test_a_watch_that_tells_nothing_is_trouble() -> None:
    """News that only comparisons find, again and again, and no event: the watch is deaf."""
    shelf = Shelf()
    async with _engine(shelf) as engine:
        for version in (1, 2, 3):
            shelf.put(version)
            await _until(partial(shelf.written, version))
        await _until(lambda: "the watch is deaf" in (engine.trouble() or ""))
        engine.observe("MODIFIED", shelf.bodies[0])
        assert engine.trouble() is None


async def test_a_standby_runs_no_pass() -> None:
    """It hears of migrations, reads and writes nothing, and is well."""
    shelf, lead = Shelf(), Lead()
    shelf.put(1)
    async with _engine(shelf, lead) as engine:
        engine.observe(None, shelf.bodies[0])
        await _turns()
        assert (shelf.lists, shelf.patches, engine.trouble()) == (0, 0, None)
        lead.begun.set()
        await _until(lambda: shelf.patches)


async def test_a_migration_that_vanished_before_the_lead_began_is_forgotten() -> None:
    """What a standby has heard of may have gone unheard; the list that begins the lead tells."""
    shelf, lead = Shelf(), Lead()
    shelf.put(1)
    async with _engine(shelf, lead, timing=Timing()) as engine:
        engine.observe(None, shelf.bodies[0])
        shelf.bodies = []
        lead.begun.set()
        await _until(lambda: not engine.known)
        assert shelf.patches == 0


async def test_without_the_lease_no_pass_begins() -> None:
    """Workers are there, and so is news; the Lease is not."""
    shelf, lead = Shelf(), Lead()
    lead.held = False
    shelf.put(1)
    async with _engine(shelf, lead, timing=Timing()):
        lead.begun.set()
        await _until(lambda: shelf.lists)
        await _turns()
        assert shelf.patches == 0


async def test_a_dead_lease_thread_is_trouble() -> None:
    """Nothing can come of this process any more."""
    lead = Lead()
    async with _engine(Shelf(), lead) as engine:
        lead.dead = "the lease thread has ended"
        assert engine.trouble() == "the lease thread has ended"


async def test_one_change_that_the_watch_never_tells_is_trouble() -> None:
    """Found once and carried out; but a watch that works would have told it, and the operator's own writes."""
    shelf = Shelf()
    async with _engine(shelf) as engine:
        shelf.put(1)
        await _until(lambda: shelf.written(1))
        await _until(lambda: "the watch is deaf" in (engine.trouble() or ""))


async def test_a_watch_that_has_told_everything_may_be_silent() -> None:
    """Comparisons that know nothing newer say nothing of the watch, however many."""
    shelf = Shelf()
    shelf.put(1)
    async with _engine(shelf) as engine:
        engine.observe(None, shelf.bodies[0])
        await _until(lambda: shelf.lists > 10)
        assert engine.trouble() is None


async def test_deletions_that_the_watch_does_not_tell_are_trouble() -> None:
    """They are found by comparisons as changes are."""
    shelf = Shelf()
    shelf.put(9)
    async with _engine(shelf) as engine:
        engine.observe(None, shelf.bodies[0])  # all versions up to 9 are told
        for version in (9, 8):
            shelf.put(version)
            await _until(lambda: engine.known)
            assert engine.trouble() is None
            shelf.bodies = []
            await _until(lambda: not engine.known)
        assert "the watch is deaf" in (engine.trouble() or "")


async def test_a_migration_that_vanished_unheard_is_forgotten() -> None:
    """Kopf tells nothing of what was deleted while its watch was down; a comparison does, and its memory is freed."""
    shelf = Shelf()
    shelf.put(1)
    async with _engine(shelf) as engine:
        await _until(lambda: _memories() == 1)
        shelf.bodies = []
        await _until(lambda: not engine.known)
        assert _memories() == 0


def _memories() -> int:
    gc.collect()
    return sum(isinstance(each, Memory) for each in gc.get_objects())


async def test_a_pass_that_hangs_is_trouble_within_ten_minutes() -> None:
    """Its write never returns; the other worker goes on, but nobody would ever look at this migration again."""
    shelf, clock = Shelf(), Clock()
    shelf.put(1)
    shelf.hangs = True
    async with _engine(shelf, timing=Timing(), clock=clock) as engine:
        for _ in range(100):  # turns of the loop: the pass has begun
            await asyncio.sleep(0)
        clock.now += 599
        assert engine.trouble() is None
        clock.now += 2
        assert f"passes that hang: {build.UID}" in (engine.trouble() or "")


async def test_no_comparison_for_long_is_trouble_until_one_succeeds() -> None:
    """Whatever keeps this process from the API server, a new one may have better luck."""
    shelf, clock = Shelf(), Clock()
    shelf.unreachable = True
    async with _engine(shelf, timing=OFTEN, clock=clock) as engine:
        clock.now += 590
        assert engine.trouble() is None
        clock.now += 20
        assert "no comparison" in (engine.trouble() or "")
        shelf.unreachable = False
        await _until(lambda: engine.trouble() is None)


async def test_a_stopped_engine_is_in_no_trouble() -> None:
    """Its workers have ended because they were told to."""
    async with _engine(Shelf()) as engine:
        pass
    assert engine.trouble() is None
