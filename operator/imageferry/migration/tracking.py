"""What the status shows of a version and of a definition that are there."""

from collections.abc import Mapping
from typing import Any

from imageferry.api.status import ActionName, DefinitionStatus, Operation, Outcome, ReplicationStatus, VersionStatus
from imageferry.migration import edits, identity, pace, regions, requests, verification
from imageferry.migration.edits import Edit
from imageferry.migration.facts import Found, GalleryDefinition, GalleryVersion
from imageferry.migration.guards import SUCCEEDED
from imageferry.migration.report import DEFINITION_READY, FALSE, REPLICATED, TRUE, VERSION_READY, Says
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


def is_ours(case: Case, tags: Mapping[str, str]) -> bool:
    """Whether this very migration created what carries these tags."""
    return tags.get(identity.MIGRATION_TAG) == case.migration.metadata.uid


def _replicated(case: Case, version: GalleryVersion) -> Says:
    spec = case.migration.spec.version
    if lagging := regions.incomplete(spec, version):
        failed = regions.failed(spec, version)
        return Says(FALSE, "RegionFailed" if failed else "Replicating", f"not Completed: {', '.join(lagging)}")
    if version.provisioning_state != SUCCEEDED:
        return Says(FALSE, version.provisioning_state, f"the version is {version.provisioning_state}")
    return Says(TRUE, "AllRegionsCompleted", "every wanted region is Completed")


def version_edits(case: Case, version: GalleryVersion) -> tuple[Edit, ...]:
    """Return the edits that a version of ours does not show yet; a version of others is not edited."""
    if not is_ours(case, version.tags):
        return ()
    changed = edits.pending(_version_wanted(case, version), _version_applied(case), edits.version_actual(version))
    return (*changed, *left_open(case, version))


def left_open(case: Case, version: GalleryVersion) -> tuple[Edit, ...]:
    """Return the edit that protects the regions of a version of ours again: a repair took that away, or somebody."""
    ours = is_ours(case, version.tags) and version.tags.get(identity.CLUSTER_TAG) == case.context.cluster
    if not (ours and version.allow_deletion_of_replicated_locations):
        return ()
    if not regions.completed(case.migration.spec.version, version):
        return ()  # Azure takes no update then, and there is nothing to protect
    return (Edit(edits.UNPROTECTED, "true", "false"),)


def definition_edits(case: Case, definition: GalleryDefinition) -> tuple[Edit, ...]:
    """Return the edits that a definition of ours does not show yet; a definition of others is not edited."""
    if not is_ours(case, definition.tags):
        return ()
    wanted = edits.definition_wanted(case.migration.spec.definition)
    return edits.pending(wanted, definition_applied(case), edits.definition_actual(definition))


def definition_applied(case: Case) -> Mapping[str, str] | None:
    """Return what was sent of the definition before."""
    before = case.migration.status.definition
    return before.applied if before else None


def version_fields(case: Case, version: GalleryVersion) -> dict[str, Any]:
    """Return the fields of the status that come from the version, and from the definition where it was looked at."""
    before = case.migration.status
    ours = is_ours(case, version.tags)
    operation = before.operation
    attempts = (before.version.attempts if before.version else None) or 0
    if ours and operation and operation.action is ActionName.CREATE_VERSION:
        attempts += 1  # seen for the first time
    applied = _version_applied(case)
    settled = edits.settle(_version_wanted(case, version), applied, edits.version_actual(version)) if ours else None
    fields: dict[str, Any] = {
        "operation": _unresolved(operation, case, version),
        "version": VersionStatus(
            id=requests.version_id(case.migration),
            outcome=Outcome.CREATED if ours else Outcome.ADOPTED,
            provisioning_state=version.provisioning_state,
            published_date=version.published_date,
            attempts=attempts or None,
            applied=settled,
        ),
        "replication": _replication(case, version),
    }
    if isinstance(case.facts.definition, Found):
        fields["definition"] = definition_status(case, case.facts.definition.value)
    return fields


def _replication(case: Case, version: GalleryVersion) -> ReplicationStatus:
    before = case.migration.status.replication
    operation = case.migration.status.operation if is_ours(case, version.tags) else None
    seen = regions.report(case.migration.spec.version, version, before=before, now=case.now, operation=operation)
    if before and before.regions == seen.regions:
        return before  # no progress is no news
    return seen.model_copy(update={"expected_completion_time": pace.expected(seen.regions, case.now)})


def definition_says(definition: GalleryDefinition) -> dict[str, Says]:
    """Return what DefinitionReady says of a definition that fits."""
    return {DEFINITION_READY: Says(TRUE, "Agrees", f"the definition {definition.id.rsplit('/', 1)[-1]} fits the image")}


def definition_status(case: Case, definition: GalleryDefinition) -> DefinitionStatus:
    """Return the definition as the status shows it."""
    ours = is_ours(case, definition.tags)
    wanted, actual = edits.definition_wanted(case.migration.spec.definition), edits.definition_actual(definition)
    return DefinitionStatus(
        id=requests.definition_id(case.migration),
        outcome=Outcome.CREATED if ours else Outcome.ADOPTED,
        applied=edits.settle(wanted, definition_applied(case), actual) if ours else None,
    )


def _version_wanted(case: Case, version: GalleryVersion) -> edits.Fields:
    """Return what the spec says of the version, for the regions that it has."""
    spec = case.migration.spec.version
    present = [each for each in regions.wanted(spec, version.location) if each.name in version.region_names]
    return edits.version_wanted(spec, present, joined=_joined(case))


def _version_applied(case: Case) -> Mapping[str, str] | None:
    before = case.migration.status.version
    return before.applied if before else None


def _joined(case: Case) -> bool:
    """Whether the version may be the latest now: it is verified, or was once, and the spec has it join then."""
    status = case.migration.status
    receipt = status.receipt
    was = (_version_applied(case) or {}).get(edits.EXCLUDED) == "false"
    return was or verification.stands(case.migration, now=case.now) or bool(receipt and receipt.digest)


def _unresolved(operation: Operation | None, case: Case, version: GalleryVersion) -> Operation | None:
    """Return the announcement as long as its outcome was not seen."""
    if operation is None:
        return None
    if operation.action is ActionName.UPDATE_VERSION:
        pending = bool(regions.missing(case.migration.spec.version, version) or version_edits(case, version))
    elif operation.action is ActionName.UPDATE_DEFINITION:
        definition = case.facts.definition
        pending = not isinstance(definition, Found) or bool(definition_edits(case, definition.value))
    elif operation.action is ActionName.REMOVE_REGIONS:
        pending = bool(regions.failed(case.migration.spec.version, version))
    elif operation.action is ActionName.DELETE_VERSION:
        pending = is_ours(case, version.tags) and version.provisioning_state in (regions.FAILED, "Deleting")
    else:
        pending = operation.action is ActionName.DELETE_IMAGE
    return operation if pending else None
