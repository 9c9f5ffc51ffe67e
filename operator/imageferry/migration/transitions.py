"""Which Kubernetes Events a change of status is worth: transitions only, never a repeat."""

from collections.abc import Iterator
from dataclasses import dataclass

from imageferry.api.status import Condition, ConditionStatus, GuardStatus, Phase, Status
from imageferry.migration.guards import DEFERRED
from imageferry.migration.report import REPLICATED, SOURCE_DELETED, STALLED
from imageferry.migration.verification import OURS, VERIFIED

NORMAL, WARNING = "Normal", "Warning"
ACTIONS = {
    "CreateGallery": ("GalleryRequested", "the gallery is requested"),
    "CreateDefinition": ("DefinitionRequested", "the image definition is requested"),
    "UpdateDefinition": ("DefinitionUpdateRequested", "a change of the image definition is requested"),
    "CreateVersion": ("VersionRequested", "the image version is requested"),
    "UpdateVersion": ("VersionUpdateRequested", "a change of the image version is requested"),
    "RemoveRegions": ("RegionRepairRequested", "the removal of failed regions, to add them again, is requested"),
    "DeleteVersion": ("RebuildRequested", "the deletion of a failed version, to build it again, is requested"),
    "DeleteImage": ("SourceDeletionRequested", "the deletion of the managed image is requested"),
}


@dataclass(frozen=True, slots=True)
class Notice:
    """One Event: type, reason, message."""

    type: str
    reason: str
    message: str


def notices(before: Status, after: Status) -> list[Notice]:
    """Return what happened between two statuses."""
    found = (look(before, after) for look in _IN_ORDER)
    return [*_guards(before, after), *(notice for notice in found if notice)]


def invalid(message: str) -> Notice:
    """Return the Event of a resource whose spec cannot be read."""
    return Notice(WARNING, "InvalidSpec", message)


def _requested(before: Status, after: Status) -> Notice | None:
    if not after.operation or (before.operation and before.operation.id == after.operation.id):
        return None
    reason, message = ACTIONS[after.operation.action]
    return Notice(NORMAL, reason, f"{message}: {after.operation.resource}")


def _stalled(before: Status, after: Status) -> Notice | None:
    old, new = _condition(before, STALLED), _condition(after, STALLED)
    if not new or (old and old.reason == new.reason):
        return None
    correlation = after.error.correlation_id if after.error else None
    told = f"{new.message} (correlation id {correlation})" if correlation else new.message
    return Notice(WARNING, new.reason or STALLED, told or "")


def _replicated(before: Status, after: Status) -> Notice | None:
    if not _became_true(before, after, REPLICATED):
        return None
    return Notice(NORMAL, REPLICATED, f"every wanted region is Completed ({_summary(after)})")


def _verified(before: Status, after: Status) -> Notice | None:
    new = _condition(after, VERIFIED)
    old = _condition(before, VERIFIED)
    if new and new.reason in OURS and (not old or old.reason != new.reason):
        return Notice(WARNING, new.reason or "", new.message or "")
    if after.verification and after.verification.at and not (before.verification and before.verification.at):
        return Notice(NORMAL, VERIFIED, f"verified for {after.verification.digest}")
    return None


def _blocked(before: Status, after: Status) -> Notice | None:
    old, new = _condition(before, SOURCE_DELETED), _condition(after, SOURCE_DELETED)
    if not new or new.reason != "DeletionBlocked" or (old and old.reason == new.reason):
        return None
    return Notice(WARNING, "DeletionBlocked", new.message or "")


def _guards(before: Status, after: Status) -> Iterator[Notice]:
    """Give the guards that stopped holding, or hold again; one that was not asked yet has not changed."""
    held = {each.name: each.passed for each in _asked(before)}
    for each in _asked(after):
        if held.get(each.name, True) and not each.passed and before.deletion:
            yield Notice(WARNING, "GuardBlocks", f"{each.name}: {each.message}")
        elif each.passed and held.get(each.name) is False:
            yield Notice(NORMAL, "GuardHolds", f"{each.name}: {each.message}")


def _asked(status: Status) -> list[GuardStatus]:
    guards = status.deletion.guards if status.deletion else []
    return [each for each in guards if each.message != DEFERRED.message]


def _planned(before: Status, after: Status) -> Notice | None:
    if after.phase is not Phase.PLANNED or after.plan == before.plan:
        return None
    return Notice(NORMAL, "Planned", f"{len(after.plan or ())} calls would change Azure; see status.plan")


def _completed(before: Status, after: Status) -> Notice | None:
    if after.phase is not Phase.COMPLETED or before.phase is Phase.COMPLETED:
        return None
    source = _condition(after, SOURCE_DELETED)
    return Notice(NORMAL, "Completed", source.message or "" if source else "")


def _suspended(before: Status, after: Status) -> Notice | None:
    suspended, was = after.phase is Phase.SUSPENDED, before.phase is Phase.SUSPENDED
    if suspended == was:
        return None
    return Notice(NORMAL, "Suspended" if suspended else "Resumed", "spec.suspend changed")


def _became_true(before: Status, after: Status, kind: str) -> bool:
    old, new = _condition(before, kind), _condition(after, kind)
    return bool(new and new.status is ConditionStatus.TRUE and not (old and old.status is ConditionStatus.TRUE))


def _condition(status: Status, kind: str) -> Condition | None:
    return next((c for c in status.conditions if c.type.casefold() == kind.casefold()), None)


def _summary(status: Status) -> str:
    return status.replication.summary if status.replication else ""


# as it happened: what allowed a request comes before it
_IN_ORDER = (_suspended, _stalled, _replicated, _verified, _blocked, _requested, _planned, _completed)
