"""The status as it will be written: a new one over the one that is stored.

What was not looked at stays as it is. Ready, Reconciling and Stalled follow kstatus, so
that Argo CD, Flux and `kubectl wait` read them right: never Reconciling and Stalled
together, Ready stays True while a person is awaited or a deletion is blocked after the
state that spec.readyWhen names was reached, and what is suspended before that has none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from imageferry.api.resource import ImageMigration
from imageferry.api.spec import ReadyWhen
from imageferry.api.status import Condition, ConditionStatus, Phase, Status
from imageferry.migration import verification

PREFLIGHT = "PreflightPassed"
DEFINITION_READY = "DefinitionReady"
VERSION_READY = "VersionReady"
REPLICATED = "Replicated"
SOURCE_DELETED = "SourceDeleted"
READY, RECONCILING, STALLED = "Ready", "Reconciling", "Stalled"

OWN = frozenset({PREFLIGHT, DEFINITION_READY, VERSION_READY, REPLICATED, SOURCE_DELETED, READY, RECONCILING, STALLED})

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


@dataclass(frozen=True, slots=True)
class Says:
    """What a condition says."""

    status: ConditionStatus
    reason: str
    message: str


class Standing(Enum):
    """How the migration stands as a whole."""

    WORKING = "working"
    STUCK = "stuck"
    RESTING = "resting"
    """Suspended or planned: nothing is on its way, and nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Phase, standing and what Ready says about it."""

    phase: Phase
    reason: str
    message: str
    standing: Standing = Standing.WORKING
    reached: frozenset[ReadyWhen] = frozenset()


def compose(
    migration: ImageMigration,
    summary: Summary,
    *,
    now: datetime,
    says: Mapping[str, Says] | None = None,
    verified: Condition | None = None,
    **fields: Any,  # noqa: ANN401 - fields of Status, checked by its model
) -> Status:
    """Return the whole new status; `verified` replaces the condition of others."""
    observed = dict(says or {}) | _overall(migration, summary)
    conditions = _fold(migration, observed, removed=_withdrawn(migration, summary), verified=verified, now=now)
    asked = migration.asked_at or migration.status.last_handled_reconcile_at
    update = {"error": None, "plan": None, "last_handled_reconcile_at": asked, **_planned(migration), **fields}
    return migration.status.model_copy(
        update={
            "observed_generation": migration.metadata.generation,
            "phase": summary.phase,
            "conditions": conditions,
            **update,
        }
    )


def _planned(migration: ImageMigration) -> dict[str, Any]:
    """Return what goes with a plan unless it is found anew."""
    return {} if migration.status.plan is None else {"findings": None}


def _withdrawn(migration: ImageMigration, summary: Summary) -> tuple[str, ...]:
    """Return the conditions that go unless they are said anew; a Ready that was reached outlasts suspension."""
    stood = {c.type: c.status for c in migration.status.conditions}
    planned = (PREFLIGHT,) if migration.status.plan is not None and stood.get(PREFLIGHT) is FALSE else ()
    if summary.standing is Standing.RESTING and stood.get(READY) is TRUE:
        return (RECONCILING, STALLED, *planned)
    return (READY, RECONCILING, STALLED, *planned)


def _overall(migration: ImageMigration, summary: Summary) -> dict[str, Says]:
    reason, message = summary.reason, summary.message
    if summary.standing is Standing.RESTING:
        return {}
    if migration.spec.ready_when in summary.reached:
        return {READY: Says(TRUE, reason, message)}
    kind = STALLED if summary.standing is Standing.STUCK else RECONCILING
    return {READY: Says(FALSE, reason, message), kind: Says(TRUE, reason, message)}


def _fold(
    migration: ImageMigration,
    observed: Mapping[str, Says],
    *,
    removed: tuple[str, ...],
    verified: Condition | None,
    now: datetime,
) -> list[Condition]:
    """Return the conditions in their stored order, changed, then the new ones."""
    old = {_canonical(condition.type): condition for condition in migration.status.conditions}
    kept = {kind: condition for kind, condition in old.items() if kind in observed or kind not in removed}
    if verified:
        kept[verification.VERIFIED] = verified
    generation = migration.metadata.generation
    for kind in kept.keys() & OWN:  # kubectl wait ignores a condition of an older generation
        kept[kind] = kept[kind].model_copy(update={"observed_generation": generation})
    for kind, says in observed.items():
        kept[kind] = _condition(kind, says, before=old.get(kind), generation=generation, now=now)
    return list(kept.values())


def _canonical(kind: str) -> str:
    return verification.VERIFIED if kind.casefold() == verification.VERIFIED.casefold() else kind


def _condition(kind: str, says: Says, *, before: Condition | None, generation: int, now: datetime) -> Condition:
    since = before.last_transition_time if before and before.status is says.status else None
    return Condition(
        type=kind,
        status=says.status,
        reason=says.reason,
        message=says.message,
        observed_generation=generation,
        last_transition_time=since or now.replace(microsecond=0),  # as Kubernetes writes times
    )
