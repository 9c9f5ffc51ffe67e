"""What an error does to the status, and when to try again: in one place, from its class alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from imageferry.api.resource import ImageMigration
from imageferry.api.spec import ReadyWhen
from imageferry.api.status import Condition, ErrorStatus, Phase, ReplicationStatus, Status
from imageferry.migration.errors import (
    AskUserError,
    BackOffError,
    DeniedError,
    GiveUpError,
    MigrationError,
    NotVisibleError,
    UnlistedError,
    WaitForStateError,
)
from imageferry.migration.facts import UNSEEN, GalleryVersion, value_of
from imageferry.migration.regions import COMPLETED
from imageferry.migration.report import (
    FALSE,
    READY,
    RECONCILING,
    REPLICATED,
    SOURCE_DELETED,
    STALLED,
    TRUE,
    VERSION_READY,
    Says,
    Standing,
    Summary,
    compose,
)
from imageferry.migration.steps import Case
from imageferry.migration.timing import Timing
from imageferry.migration.tracking import built_from_source, version_says

SHOWN_FROM = 3
"""A passing fault is shown in the status from this failure in a row on; one 500 is not news."""
BORNE = (DeniedError, NotVisibleError)
"""What may pass within minutes, and needs a person only then."""
UNDER_WAY = frozenset(
    {Phase.PENDING, Phase.CHECKING, Phase.DEFINING, Phase.CREATING, Phase.REPLICATING, Phase.DELETING}
)
"""Phases in which nothing else is said to a reader than what it waits for."""
_GONE = Says(
    FALSE, "VersionGone", "the version is not there any more, and what it takes to build it could not be looked at"
)
HELD_UP = frozenset({READY, RECONCILING, STALLED, SOURCE_DELETED})
"""Conditions that tell of what holds a migration up."""


@dataclass(frozen=True, slots=True)
class History:
    """What this process remembers of the failures of one migration."""

    in_a_row: int = 0
    borne: type[MigrationError] | None = None
    """The class of the last failure, if it is borne for a time."""
    since: datetime | None = None
    """When failures of that class began."""

    def plus(self, error: MigrationError, now: datetime) -> "History":
        """Return the history with one failure more."""
        borne = next((kind for kind in BORNE if isinstance(error, kind)), None)
        since = self.since if borne and borne is self.borne else now
        return History(self.in_a_row + 1, borne, since if borne else None)


def needs_a_person(error: MigrationError, history: History, *, now: datetime, timing: Timing) -> bool:
    """Whether the migration stalls: a 403 once roles have had time to spread, what is missing once caches have."""
    if history.borne and history.since:
        patience = timing.denied if history.borne is DeniedError else timing.disbelief
        return now - history.since >= patience
    return isinstance(error, AskUserError | GiveUpError)


def delay(error: MigrationError, history: History, *, timing: Timing) -> timedelta:
    """Return how long to wait: what Azure says, else twice as long each time."""
    first, most = timing.retry_first, timing.retry_most
    if isinstance(error, WaitForStateError):
        first = timing.soon * 5
    doubled = min(first * float(2 ** min(history.in_a_row - 1, 16)), most)
    return max(doubled, error.retry_after or timedelta())


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed pass: whether a person is needed, and when it is tried again."""

    error: MigrationError
    history: History
    stuck: bool
    after: timedelta


def status(migration: ImageMigration, failure: Failure, *, now: datetime) -> Status:
    """Return the status that tells of a failed pass."""
    error = failure.error
    shown = _shown(migration.status.error, error, now=now, after=failure.after)
    if failure.stuck:
        return _stuck(migration, shown, now=now)
    passing = isinstance(error, BackOffError) and not isinstance(error, DeniedError | UnlistedError)
    if passing and failure.history.in_a_row < SHOWN_FROM:
        return migration.status
    return _held_up(migration, shown, now=now)


def _held_up(migration: ImageMigration, error: ErrorStatus, *, now: datetime) -> Status:
    """Say what it waits for; but leave what was reached, what a person is told to do, and a stall as they are."""
    phase = migration.status.phase or Phase.CHECKING
    stands = {c.type for c in migration.status.conditions if c.type in (READY, STALLED) and c.status is TRUE}
    if stands or phase not in UNDER_WAY:
        return migration.status.model_copy(update={"error": error})
    return compose(migration, Summary(phase, _reason(error.code), error.message), now=now, error=error)


def _shown(before: ErrorStatus | None, error: MigrationError, *, now: datetime, after: timedelta) -> ErrorStatus:
    """Return the error as the status shows it.

    The same error again is no news: it keeps its first correlation id, and its time while that lies ahead.
    """
    shown = ErrorStatus(code=error.code[:128], message=error.message[:4096], kind=error.kind)
    same = before is not None and (before.code, before.message, before.kind) == (shown.code, shown.message, shown.kind)
    kept = before if same and before else ErrorStatus(code="", message="", kind="", correlation_id=error.correlation_id)
    ahead = kept.retry_time if kept.retry_time and kept.retry_time > now else None
    retry_time = ahead or (now + after).replace(microsecond=0)
    return shown.model_copy(update={"correlation_id": kept.correlation_id, "retry_time": retry_time})


def corrected(case: Case) -> ImageMigration:
    """Return the migration with a status that claims no more than this pass saw of its version before it failed.

    Siblings trust what stands there, so a failed pass must not leave `Replicated` on what is not.
    """
    if case.facts.version is UNSEEN:
        return case.migration
    version = value_of(case.facts.version)
    says = version_says(case, version) if version else {VERSION_READY: _GONE, REPLICATED: _GONE}
    lost = {kind: told for kind, told in says.items() if told.status is not TRUE}
    before = case.migration.status
    if lost and not before.receipt:
        lost[READY] = lost.get(REPLICATED) or lost[VERSION_READY]
    conditions = [_withdrawn(each, lost.get(each.type), now=case.now) for each in before.conditions]
    replication = _still_true(before.replication, version) if version and built_from_source(case, version) else None
    status = before.model_copy(update={"conditions": conditions, "replication": replication})
    return case.migration.model_copy(update={"status": status})


def _still_true(told: ReplicationStatus | None, version: GalleryVersion) -> ReplicationStatus | None:
    """Return what is told of the regions, unless it claims one that Azure does not show Completed.

    It stays where it can, since it also holds which regions never were Completed.
    """
    claimed = {region.name for region in told.regions if region.state == COMPLETED} if told else set()
    shown = {name for name, region in version.replication.items() if region.state == COMPLETED}
    return told if claimed <= shown else None


def _withdrawn(stands: Condition, lost: Says | None, *, now: datetime) -> Condition:
    if lost is None or stands.status is not TRUE:
        return stands
    told = {"status": lost.status, "reason": lost.reason, "message": lost.message}
    return stands.model_copy(update=told | {"last_transition_time": now.replace(microsecond=0)})


def still_held_up(before: Status, found: Status) -> Status:
    """Return what a pass found, while the refusal that holds it up stands as it was: so nothing flaps at each try."""
    stands = {each.type: each for each in before.conditions if each.type in HELD_UP}
    conditions = [stands.pop(each.type, each) for each in found.conditions if each.type not in HELD_UP - stands.keys()]
    update = {"phase": before.phase, "error": before.error, "conditions": [*conditions, *stands.values()]}
    return found.model_copy(update=update)


def _stuck(migration: ImageMigration, error: ErrorStatus, *, now: datetime) -> Status:
    """Stall; but once what spec.readyWhen names was reached, it stays Ready and the deletion is blocked."""
    reason = _reason(error.code)
    ready = any(c.type == READY and c.status is TRUE for c in migration.status.conditions)
    if not ready:
        summary = Summary(Phase.STALLED, reason, error.message, Standing.STUCK)
        return compose(migration, summary, now=now, error=error)
    phase = migration.status.phase or Phase.AWAITING_VERIFICATION
    phase = Phase.DELETION_BLOCKED if phase is Phase.DELETING else phase
    summary = Summary(phase, reason, error.message, reached=frozenset(ReadyWhen))
    final = migration.status.receipt is not None
    blocked = Says(FALSE, "DeletionBlocked", f"{error.code}: {error.message}")
    return compose(migration, summary, now=now, says={} if final else {SOURCE_DELETED: blocked}, error=error)


def _reason(code: str) -> str:
    """Return a code as a condition's reason: letters and digits, starting with a letter."""
    reason = "".join(character for character in code if character.isalnum())
    return reason if reason[:1].isalpha() else "AzureError"


def invalid_patch(body: Mapping[str, Any], message: str, *, now: datetime) -> dict[str, Any]:
    """Return the status patch that marks a resource whose spec cannot be read; empty when it is marked already."""
    stored = body.get("status") or {}
    generation = body["metadata"].get("generation", 0)
    text = f"{message}; correct the field"
    old = {each.get("type"): each for each in stored.get("conditions") or []}
    if old.get(STALLED, {}).get("message") == text and stored.get("observedGeneration") == generation:
        return {}
    said = {"reason": "InvalidSpec", "message": text, "observedGeneration": generation}
    marks = [{"type": kind, "status": status, **said} for kind, status in ((READY, "False"), (STALLED, "True"))]
    dated = [mark | {"lastTransitionTime": _since(old.get(mark["type"]), mark["status"], now)} for mark in marks]
    kept = [each for kind, each in old.items() if kind not in (READY, RECONCILING, STALLED)]
    return {"observedGeneration": generation, "phase": Phase.STALLED.value, "conditions": [*kept, *dated]}


def _since(before: Mapping[str, Any] | None, status: str, now: datetime) -> str:
    """Return when a condition took this status, as Kubernetes writes times."""
    if before and before.get("status") == status and before.get("lastTransitionTime"):
        return str(before["lastTransitionTime"])
    return f"{now:%Y-%m-%dT%H:%M:%SZ}"
