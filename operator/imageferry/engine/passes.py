"""One pass over one migration: look, decide, and write or act at most once.

A mutation is announced first, in a status write that names the resourceVersion of the
very body that the decision was made on. If that write is refused, the resource was
deleted, suspended or changed meanwhile, perhaps unheard, and nothing is sent.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from imageferry.api.resource import ImageMigration, InvalidResourceError, parse
from imageferry.api.status import ActionName, Operation, Status
from imageferry.engine.intake import Intake
from imageferry.engine.memory import Memory
from imageferry.engine.ports import AzureApi, Body, KubernetesApi, Leadership, LeaseLostError
from imageferry.engine.snapshots import Snapshots
from imageferry.migration import changes, failures, inquiry, preflight, requests, siblings, transitions
from imageferry.migration.decide import decide
from imageferry.migration.errors import MigrationError, PostponedError
from imageferry.migration.facts import MISSING, Fact, Facts, Found, What
from imageferry.migration.failures import Failure, History
from imageferry.migration.requests import Action
from imageferry.migration.scopes import Scopes
from imageferry.migration.steps import Act, Brake, Case, Context, Look, Pace, Wait
from imageferry.migration.timing import Timing

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Result:
    """The newest body, and when to look again; None means not before news."""

    body: Body
    after: timedelta | None


@dataclass(frozen=True, slots=True)
class Terms:
    """What all decisions of one operator are made under."""

    cluster: str
    timing: Timing
    brake: Brake = field(default_factory=Brake)
    scopes: Scopes = field(default_factory=Scopes)


class Passes:
    """Runs passes; what is remembered of a migration between them is in its Memory."""

    def __init__(  # noqa: PLR0913 - the world, time and chance are handed in
        self,
        azure: AzureApi,
        kubernetes: KubernetesApi,
        intake: Intake,
        *,
        leadership: Leadership,
        terms: Terms,
        clock: Callable[[], datetime],
        chance: Callable[[], float] = lambda: 0.5,
        gap: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._azure = azure
        self._kubernetes = kubernetes
        self._intake = intake
        self._leadership = leadership
        self._terms = terms
        self.timing = terms.timing
        self._clock = clock
        self._chance = chance
        self._gap = gap
        self._snapshots = Snapshots(azure.consumers, clock=clock, most=terms.timing.snapshot)
        self._deletions: dict[str, datetime] = {}
        """Deletions that this process has sent, by uid: they count also when the resource is gone."""

    async def run(self, body: Body, memory: Memory) -> Result:
        """Run one pass. ConflictError, GoneError, UnreachableError and LeaseLostError come through."""
        try:
            migration = parse(body)
        except InvalidResourceError as error:
            return await self._refuse(body, str(error), memory)
        running = _Running(body, migration, memory)
        memory.hear(migration.asked_at)
        try:
            with self._azure.turn(migration.metadata.uid):
                return await self._carry_out(running)
        except PostponedError as error:
            running.log.info("postponed", seconds=error.after.total_seconds())
            return Result(running.body, error.after)
        except MigrationError as error:
            return await self._fail(running, error)
        finally:  # at the end: nothing may come between an announcement and its mutation
            for notice in running.news:
                await self._kubernetes.notify(running.body, notice)

    async def _carry_out(self, running: "_Running") -> Result:
        while True:
            step = decide(running.migration, running.facts, self._context(running))
            if not isinstance(step, Look):
                break
            try:
                fact = await self._look(step.what, running)
            except MigrationError as error:
                if step.what in requests.LOOKS:
                    error.name(requests.LOOKS[step.what])
                raise
            running.facts = running.facts.plus(step.what, fact)
            self._note_absence(running, step.what, fact)
        running.memory.completion = step.completion
        if isinstance(step, Wait):
            return await self._wait(running, step)
        return await self._act(running, step)

    def _case(self, running: "_Running") -> Case:
        return Case(running.migration, running.facts, self._context(running))

    def _context(self, running: "_Running") -> Context:
        migration, now = running.migration, self._clock()
        return Context(
            now=now,
            timing=self.timing,
            cluster=self._terms.cluster,
            completion=running.memory.completion,
            operation_since=running.memory.since(migration.status.operation, now),
            missing_since=running.memory.missing_since,
            peers=self._intake.roster.peers_of(migration.metadata.uid),
            brake=replace(self._terms.brake, deletions=self._recent_deletions(migration.metadata.uid, now)),
            gap=self._gap(),
            scopes=self._terms.scopes,
            identity=self._azure.identity,
            correlation_id=running.memory.correlation_id(migration.status.operation),
        )

    def _note_absence(self, running: "_Running", what: What, fact: Fact[Any]) -> None:
        denied = fact is MISSING and what is not What.IMAGE
        if denied and self._case(running).hears_of(what):
            running.memory.denied(what, self._clock())
        else:
            running.memory.missing_since.pop(what, None)

    def _recent_deletions(self, uid: str, now: datetime) -> tuple[datetime, ...]:
        """Return when others' images were deleted within the window, as resources or this process know."""
        if self._terms.brake.most is None:
            return ()
        begin = now - self.timing.rate_window
        self._deletions = {who: at for who, at in self._deletions.items() if at > begin}
        known = self._intake.roster.deletions() | self._deletions
        return tuple(at for who, at in known.items() if who != uid and at > begin)

    async def _look(self, what: What, running: "_Running") -> Fact[Any]:
        migration = running.migration
        match what:
            case What.IMAGE:
                return await self._azure.image(migration.spec.source.managed_image_id)
            case What.GALLERY:
                return await self._azure.gallery(migration.spec.gallery.id)
            case What.DEFINITION:
                return await self._azure.definition(requests.definition_id(migration))
            case What.VERSION:
                if migration.status.definition is None:  # the scarcest call decides, before four looks are spent
                    definition = requests.definition_id(migration)
                    await self._azure.expect(Action(ActionName.CREATE_DEFINITION, definition, {}))
                return await self._azure.version(requests.version_id(migration))
        return await self._look_around(what, running)

    async def _look_around(self, what: What, running: "_Running") -> Fact[Any]:
        """Look at what is not the migration's own."""
        migration = running.migration
        if what is What.SURROUNDINGS:
            return Found(await self._azure.surroundings(inquiry.of(migration, running.facts)))
        if what is What.SIBLINGS:
            return Found(siblings.of(migration, await self._kubernetes.list(), now=self._clock()))
        return Found(await self._snapshots.consumers_of(migration.spec.source.managed_image_id))

    async def _wait(self, running: "_Running", step: Wait) -> Result:
        memory = running.memory
        if step.status.operation is None:  # until its outcome is seen, nothing says that the failure is over
            memory.history, memory.failed = History(), None
        memory.stalls = memory.stalls + 1 if step.after is Pace.STALLED else 0
        await self._write(running, step.status)
        return Result(running.body, self._spread(self._pause(step.after, memory)))

    def _spread(self, after: timedelta | None) -> timedelta | None:
        """Lengthen a wait by up to a tenth: what began together does not stay together, and none comes too soon."""
        return after and after * (1 + 0.1 * self._chance())

    def _pause(self, after: timedelta | Pace, memory: Memory) -> timedelta | None:
        if after is Pace.NEVER:
            return None
        return self._stalled(memory) if after is Pace.STALLED else after

    def _stalled(self, memory: Memory) -> timedelta:
        return min(self.timing.stalled_first * float(2 ** min(memory.stalls - 1, 16)), self.timing.stalled_most)

    async def _act(self, running: "_Running", step: Act) -> Result:
        uid = running.migration.metadata.uid
        if step.action.name is ActionName.DELETE_IMAGE:
            self._deletions[uid] = self._clock()  # before anything is awaited: others count it from here on
        try:
            with self._intake.roster.acting(uid):
                await self._azure.admit(step.action)
                await self._announce(running, step)
        except BaseException:
            self._deletions.pop(uid, None)
            raise
        running.memory.missing_since.clear()
        try:
            correlation = await self._azure.perform(step.action)
        except MigrationError as error:
            running.log.warning(
                "refused", action=step.action.name, code=error.code, correlation_id=error.correlation_id
            )
            error.name(requests.FIELDS[step.action.name])
            running.memory.failed = step.action.name
            if error.definite:
                self._deletions.pop(uid, None)
                running.retract()
            raise
        finally:
            if uid in self._deletions:
                self._deletions[uid] = self._clock()  # Azure may have taken its time: the hour counts from the answer
        operation = running.migration.status.operation
        running.memory.answered = (operation.id, correlation) if operation else None
        running.log.info("acted", action=step.action.name, resource=step.action.resource, correlation_id=correlation)
        running.memory.history = History()
        running.memory.failed = None
        building = step.action.name is ActionName.CREATE_VERSION  # takes minutes, and Azure asks for a look a minute
        return Result(running.body, self._spread(self.timing.building) if building else self.timing.soon / 3)

    async def _announce(self, running: "_Running", step: Act) -> None:
        operation = Operation(
            id=uuid.uuid4().hex,
            action=step.action.name,
            resource=step.action.resource,
            requested_at=self._clock(),
            attempt=step.attempt,
        )
        again = running.memory.failed is step.action.name
        told = failures.still_held_up(running.stored, step.status) if again else step.status
        await self._write(running, told.model_copy(update={"operation": operation}))
        self._require_lease()

    async def _fail(self, running: "_Running", error: MigrationError) -> Result:
        now, memory = self._clock(), running.memory
        preflight.explain(running.migration, error)
        memory.history = memory.history.plus(error, now)
        running.migration = failures.corrected(self._case(running))
        stuck = failures.needs_a_person(error, memory.history, now=now, timing=self.timing)
        memory.stalls += stuck
        after = self._stalled(memory) if stuck else failures.delay(error, memory.history, timing=self.timing)
        failure = Failure(error, memory.history, stuck, after)
        running.log.warning(
            "failed", code=error.code, message=error.message, kind=error.kind, correlation_id=error.correlation_id
        )
        await self._write(running, failures.status(running.migration, failure, now=now))
        return Result(running.body, after)

    async def _refuse(self, body: Body, message: str, memory: Memory) -> Result:
        """Mark a resource that the models refuse; nothing else is done for it."""
        patch = failures.invalid_patch(body, message, now=self._clock())
        memory.stalls += 1
        if patch:
            log.warning("invalid", migration=_key(body), message=message)
            self._require_lease()
            body = await self._kubernetes.patch_status(body, patch)
            await self._kubernetes.notify(body, transitions.invalid(message))
        return Result(body, self._pause(Pace.STALLED, memory))

    async def _write(self, running: "_Running", after: Status) -> None:
        """Write what differs from the stored status, if it is worth a write, and tell of transitions."""
        before, now = running.stored, self._clock()
        patch = changes.merge_patch(before, after)
        if not patch or not self._worth_it(running.memory, before, after, now=now):
            return
        self._require_lease()
        running.body = await self._kubernetes.patch_status(running.body, patch)
        self._intake.offer(running.body)  # at once: others decide by it
        running.memory.reported_at = now
        running.log.info("status", phase=after.phase, changed=sorted(patch))
        running.news += running.memory.news(transitions.notices(before, after))
        running.migration = parse(running.body)
        running.stored = running.migration.status

    def _require_lease(self) -> None:
        if not self._leadership.held:
            raise LeaseLostError("the Lease is not held any more")

    def _worth_it(self, memory: Memory, before: Status, after: Status, *, now: datetime) -> bool:
        if not changes.only_progress(before, after):
            return True
        memory.reported_at = memory.reported_at or now
        return now - memory.reported_at >= self.timing.report


class _Running:
    """One pass's own state: the body as it is stored, and the migration as it is decided on."""

    def __init__(self, body: Body, migration: ImageMigration, memory: Memory) -> None:
        self.body = body
        self.migration = migration
        self.stored = migration.status
        self.memory = memory
        self.facts = Facts()
        self.news: list[transitions.Notice] = []
        self.log = log.bind(migration=migration.key, phase=migration.status.phase)

    def retract(self) -> None:
        """Take an announcement back whose mutation certainly had no effect."""
        status = self.migration.status.model_copy(update={"operation": None})
        self.migration = self.migration.model_copy(update={"status": status})


def _key(body: Body) -> str:
    return f"{body['metadata']['namespace']}/{body['metadata']['name']}"
