"""What is repaired without a person, and what keeps that from ever deleting what serves.

A failed build is deleted and built again, a failed region removed and added again, and
nothing else (design, section 5). What allows it is what Azure shows in this very pass: our
tags, the state of every region, disks that were never filled in, the image with the tagged
fingerprint. What the status remembers (`repairs`, `deletion.requestedAt`, the count of
builds) has to agree: absent it forbids, and forged it allows nothing that Azure does not show.
"""

from collections.abc import Mapping
from typing import Any

from imageferry.api.status import ActionName, Phase, VersionStatus
from imageferry.migration import claims, cures, identity, regions, requests
from imageferry.migration.claims import Claim
from imageferry.migration.facts import UNSEEN, Found, GalleryVersion, ManagedImage, What
from imageferry.migration.guards import SUCCEEDED
from imageferry.migration.regions import COMPLETED, FAILED
from imageferry.migration.report import Summary, compose
from imageferry.migration.requests import Action
from imageferry.migration.stall import waiting
from imageferry.migration.steps import Act, Case, Look, Step, Wait
from imageferry.migration.tracking import is_ours, version_fields, version_says
from imageferry.migration.unbuilt import BUILD_BUDGET
from imageferry.migration.upkeep import ATTEMPTS, takes_updates

REPAIRS = 3
"""How often one region is removed and added again."""

Limits = dict[str, bool]
"""Sentences that end in the reason why a thing is not repaired, and whether they are true."""


def decide(case: Case, version: GalleryVersion) -> Step | str:
    """Return the step that repairs a version that failed, or why none is allowed."""
    if is_failed_build(case, version):
        return _rebuild(case, version)
    return repair(case, version)


def is_failed_build(case: Case, version: GalleryVersion) -> bool:
    """Whether the version failed and serves nowhere that the spec wants."""
    return version.provisioning_state == FAILED and not regions.completed(case.migration.spec.version, version)


def repair(case: Case, version: GalleryVersion) -> Step | str:
    """Remove the failed regions, so that the next update adds them again; or tell why that is not allowed."""
    failed = regions.failed(case.migration.spec.version, version)
    if not failed:
        return "no region has failed"
    fields = version_fields(case, version)
    for name in failed:
        if why := _first(_limits_of_repair(case, version, name, fields)):
            return f"{name} {why}"
    if why := _first(_limits_of_writing(case, version)):
        return why
    names = ", ".join(failed)
    if not takes_updates(version):
        return _wait(case, version, f"{names} failed; waiting until Azure is through with the last update", fields)
    action = requests.remove_regions(case.migration, version, failed, now=case.now)
    told = f"replication failed ({cures.details(failed)}): removing {names}, to be added again"
    return _mutate(case, version, action, Summary(Phase.REPLICATING, "RepairingRegions", told), fields)


def _rebuild(case: Case, version: GalleryVersion) -> Step | str:
    """Delete a build that serves nowhere and never did; without it the normal path builds again."""
    fields = version_fields(case, version)
    if why := _first(_limits_of_rebuild(case, version, fields) | _limits_of_writing(case, version)):
        return why
    if case.facts.image is UNSEEN:
        return Look(What.IMAGE)
    image = case.facts.image.value if isinstance(case.facts.image, Found) else None
    if why := _first(_limits_of_source(version, image)):
        return why
    builds = fields["version"].attempts
    told = f"the build failed ({cures.details(_reported(version))}): deleting it, to build again ({builds} of "
    summary = Summary(Phase.CREATING, "RebuildingVersion", f"{told}{BUILD_BUDGET} builds were made)")
    return _mutate(case, version, requests.delete_version(case.migration), summary, fields)


def _limits_of_writing(case: Case, version: GalleryVersion) -> Limits:
    owner = version.tags.get(identity.CLUSTER_TAG)
    return {
        "another migration, or nobody that we know, built it": not is_ours(case, version.tags),
        f"it belongs to another cluster ({owner})": owner != case.context.cluster,
    }


def _limits_of_rebuild(case: Case, version: GalleryVersion, fields: Mapping[str, Any]) -> Limits:
    """Return what forbids to delete the version before its image is looked at."""
    states = {name: version.replication[name].state for name in version.replication}
    builds: VersionStatus = fields["version"]
    known = _known_unserved(fields)
    return {
        "a region is Completed": COMPLETED in states.values(),
        "Azure does not show every region Failed": any(states.get(name) != FAILED for name in version.region_names),
        "it was built once": version.built,
        "it is not known that no region ever was Completed": not version.region_names
        or not version.region_names <= known.keys(),
        "the deletion of the image was requested": _deletion_was_announced(case),
        "it is protected (blockDeletionBeforeEndOfLife)": bool(version.block_deletion_before_end_of_life),
        "it is not known how often it was built": not builds.attempts,
        f"it was built {builds.attempts} times": (builds.attempts or 0) >= BUILD_BUDGET,
    }


def _limits_of_source(version: GalleryVersion, image: ManagedImage | None) -> Limits:
    tagged = version.tags.get(identity.FINGERPRINT_TAG)
    return {
        "there is no image to build from": image is None,
        "the image is not settled": image is not None and image.provisioning_state != SUCCEEDED,
        "the image is not the one that it was built from": image is not None and identity.fingerprint(image) != tagged,
    }


def _limits_of_repair(case: Case, version: GalleryVersion, name: str, fields: Mapping[str, Any]) -> Limits:
    """Return what forbids to remove a failed region."""
    home = version.replication.get(version.location)
    repairs = _known_unserved(fields).get(name)
    return {
        "is the version's own region": name == version.location,
        "failed before the version's own region was Completed": home is None or home.state != COMPLETED,
        "was not added by this migration after the build": name not in regions.added(version),
        "may have been Completed before": repairs is None,
        f"was repaired {repairs} times": (repairs or 0) >= REPAIRS,
        "has settings in Azure that are not those of the spec": not _as_wanted(case, version, name),
    }


def _known_unserved(fields: Mapping[str, Any]) -> dict[str, int]:
    """Return the repairs of the regions of which it is known that they never were Completed."""
    return {each.name: each.repairs for each in fields["replication"].regions if each.repairs is not None}


def _deletion_was_announced(case: Case) -> bool:
    """Whether this migration or another one ever announced the deletion of the image, as far as anybody knows."""
    status, source = case.migration.status, case.migration.spec.source.managed_image_id.casefold()
    announced = status.operation is not None and status.operation.action is ActionName.DELETE_IMAGE
    before = status.deletion is not None and (status.deletion.requested_at or status.deletion.receipt) is not None
    return announced or before or any(p.deleted_at and p.ids[Claim.SOURCE] == source for p in case.context.peers)


def _as_wanted(case: Case, version: GalleryVersion, name: str) -> bool:
    """Whether adding the region again would lose nothing that somebody else has set."""
    spec = case.migration.spec.version
    there = [_plain(region) for region in version.target_regions if region["name"] == name]
    wanted = [each for each in regions.wanted(spec, version.location) if each.name == name]
    return there == [_plain(requests.target_region(each, spec)) for each in wanted]


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value without what is as good as absent, and with texts in one casing."""
    if isinstance(value, Mapping):
        return {key: plain for key, each in value.items() if (plain := _plain(each))}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.casefold() if isinstance(value, str) else value


def _reported(version: GalleryVersion) -> dict[str, str]:
    return {name: each.details for name, each in version.replication.items()}


def _first(limits: Limits) -> str | None:
    return next((why for why, true in limits.items() if true), None)


def _mutate(
    case: Case, version: GalleryVersion, action: Action, summary: Summary, fields: Mapping[str, Any]
) -> Step | str:
    """Announce it, unless what is seen may be older than the last write, or it was asked for often enough."""
    if holder := claims.holder(Claim.VERSION, case.migration, case.context.peers):
        return waiting(case, Claim.VERSION, holder, says=version_says(case, version), **fields)
    if _may_be_stale(case):
        return _wait(case, version, f"{summary.message}, unless Azure shows otherwise soon", fields)
    operation = case.migration.status.operation
    if operation and operation.action is action.name and operation.attempt >= ATTEMPTS:
        return f"that was asked for {operation.attempt} times, and Azure does not show it"
    status = compose(case.migration, summary, now=case.now, says=version_says(case, version), **fields)
    return Act(action, status, case.next_attempt(action.name), case.context.completion)


def _may_be_stale(case: Case) -> bool:
    """Whether the version was written so recently that this may be how it was before."""
    writes = (
        ActionName.CREATE_VERSION,
        ActionName.UPDATE_VERSION,
        ActionName.REMOVE_REGIONS,
        ActionName.DELETE_VERSION,
    )
    return any(case.announced(name) for name in writes)


def _wait(case: Case, version: GalleryVersion, told: str, fields: Mapping[str, Any]) -> Wait:
    """Look again with the announcement and the count of builds as they are: nothing was settled by this look."""
    before = case.migration.status
    kept = fields["version"].model_copy(update={"attempts": before.version.attempts if before.version else None})
    summary = Summary(Phase.REPLICATING, "Repairing", told)
    unsettled = {**fields, "operation": before.operation, "version": kept}
    status = compose(case.migration, summary, now=case.now, says=version_says(case, version), **unsettled)
    return Wait(status, case.timing.building, case.context.completion)
