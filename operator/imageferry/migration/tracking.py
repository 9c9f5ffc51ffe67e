"""What the status shows of a version that is there."""

from typing import Any

from imageferry.api.status import ActionName, Operation, Outcome, VersionStatus
from imageferry.migration import identity, regions, requests
from imageferry.migration.facts import GalleryVersion
from imageferry.migration.guards import SUCCEEDED
from imageferry.migration.report import FALSE, REPLICATED, TRUE, VERSION_READY, Says
from imageferry.migration.steps import Case


def version_says(case: Case, version: GalleryVersion) -> dict[str, Says]:
    """Return what VersionReady and Replicated say, from what Azure shows and nothing else."""
    if not built_from_source(case, version):
        another = Says(FALSE, "VersionConflict", f"the version was built from {version.source_id or 'another source'}")
        return {VERSION_READY: another, REPLICATED: another}
    state = version.provisioning_state
    ready = Says(TRUE if state == SUCCEEDED else FALSE, state, f"the version is {state}")
    return {VERSION_READY: ready, REPLICATED: _replicated(case, version)}


def built_from_source(case: Case, version: GalleryVersion) -> bool:
    """Whether the version names our image as its source."""
    return identity.same_id(version.source_id, case.migration.spec.source.managed_image_id)


def _replicated(case: Case, version: GalleryVersion) -> Says:
    spec = case.migration.spec.version
    if lagging := regions.incomplete(spec, version):
        failed = regions.failed(spec, version)
        return Says(FALSE, "RegionFailed" if failed else "Replicating", f"not Completed: {', '.join(lagging)}")
    if version.provisioning_state != SUCCEEDED:
        return Says(FALSE, version.provisioning_state, f"the version is {version.provisioning_state}")
    return Says(TRUE, "AllRegionsCompleted", "every wanted region is Completed")


def version_fields(case: Case, version: GalleryVersion) -> dict[str, Any]:
    """Return the fields of the status that come from the version alone."""
    before = case.migration.status
    ours = version.tags.get(identity.MIGRATION_TAG) == case.migration.metadata.uid
    operation = before.operation
    attempts = (before.version.attempts if before.version else None) or 0
    if ours and operation and operation.action is ActionName.CREATE_VERSION:
        attempts += 1  # seen for the first time
    return {
        "operation": _unresolved(operation, case, version),
        "version": VersionStatus(
            id=requests.version_id(case.migration),
            outcome=Outcome.CREATED if ours else Outcome.ADOPTED,
            provisioning_state=version.provisioning_state,
            published_date=version.published_date,
            attempts=attempts or None,
        ),
        "replication": regions.report(case.migration.spec.version, version, before=before.replication, now=case.now),
    }


def _unresolved(operation: Operation | None, case: Case, version: GalleryVersion) -> Operation | None:
    """Return the announcement as long as its outcome was not seen."""
    if operation and operation.action is ActionName.ADD_REGIONS:
        return operation if regions.missing(case.migration.spec.version, version) else None
    return operation if operation and operation.action is ActionName.DELETE_IMAGE else None
