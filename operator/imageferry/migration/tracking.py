"""What the status shows of a version that is there."""

from typing import Any

from imageferry.api.status import ActionName, Operation, Outcome, VersionStatus
from imageferry.migration import identity, regions, requests
from imageferry.migration.facts import GalleryVersion
from imageferry.migration.steps import Case


def version_fields(case: Case, version: GalleryVersion) -> dict[str, Any]:
    """Return the fields of the status that come from the version alone."""
    before = case.migration.status
    ours = version.tags.get(identity.MIGRATION_TAG) == case.migration.metadata.uid
    attempts = before.version.attempts if before.version else None
    return {
        "operation": _unresolved(before.operation, case, version),
        "version": VersionStatus(
            id=requests.version_id(case.migration),
            outcome=Outcome.CREATED if ours else Outcome.ADOPTED,
            provisioning_state=version.provisioning_state,
            published_date=version.published_date,
            attempts=attempts,
        ),
        "replication": regions.report(case.migration.spec.version, version, before=before.replication, now=case.now),
    }


def _unresolved(operation: Operation | None, case: Case, version: GalleryVersion) -> Operation | None:
    """Return the announcement as long as its outcome was not seen."""
    if operation and operation.action is ActionName.ADD_REGIONS:
        return operation if regions.missing(case.migration.spec.version, version) else None
    return operation if operation and operation.action is ActionName.DELETE_IMAGE else None
