"""Target regions: which are wanted, which are there, how far each is.

ARM takes short names and answers display names (fact sheet, section 3.5), in
replication status now the one and now the other; here there are short names only.
"""

from datetime import datetime

from imageferry.api.spec import TargetRegion
from imageferry.api.spec import Version as WantedVersion
from imageferry.api.status import ActionName, Operation, RegionStatus, ReplicationStatus
from imageferry.migration import identity
from imageferry.migration.facts import GalleryVersion, RegionReplication

COMPLETED = "Completed"
FAILED = "Failed"
PENDING = "Pending"
EXTRA = "Extra"

_UNSEEN = RegionReplication(state=PENDING, progress=0)


def short_name(region: str) -> str:
    """Return the short name of a region given in either form: `West Europe` is `westeurope`."""
    return region.casefold().replace(" ", "")


def wanted(version: WantedVersion, home: str) -> tuple[TargetRegion, ...]:
    """Return the regions that the spec wants, the version's own among them (ARM insists on it)."""
    listed = tuple(version.target_regions or ())
    if any(region.name == home for region in listed):
        return listed
    return (TargetRegion(name=home), *listed)


def encryption_sets(region: TargetRegion) -> tuple[str, ...]:
    """Return the ids of the disk encryption sets of a region, in the order of the disks."""
    given = region.encryption
    if not given:
        return ()
    system = (given.os_disk_image,) if given.os_disk_image else ()
    return tuple(disk.disk_encryption_set_id for disk in (*system, *(given.data_disk_images or ())))


def missing(spec: WantedVersion, version: GalleryVersion) -> tuple[TargetRegion, ...]:
    """Return the wanted regions that the version does not have."""
    return tuple(each for each in wanted(spec, version.location) if each.name not in version.region_names)


def incomplete(spec: WantedVersion, version: GalleryVersion) -> tuple[str, ...]:
    """Return the wanted regions whose own replication state is not Completed."""
    return tuple(
        each.name
        for each in wanted(spec, version.location)
        if version.replication.get(each.name, _UNSEEN).state != COMPLETED
    )


def completed(spec: WantedVersion, version: GalleryVersion) -> bool:
    """Whether any wanted region is Completed."""
    return len(incomplete(spec, version)) < len(wanted(spec, version.location))


def failed(spec: WantedVersion, version: GalleryVersion) -> dict[str, str]:
    """Return the wanted regions that failed, with Azure's words about each."""
    names = [each.name for each in wanted(spec, version.location)]
    return {
        name: version.replication[name].details
        for name in names
        if name in version.region_names and version.replication.get(name, _UNSEEN).state == FAILED
    }


def added(version: GalleryVersion) -> frozenset[str]:
    """Return the regions that its migration added after the build, as the version's own tag tells."""
    return frozenset(filter(None, version.tags.get(identity.ADDED_TAG, "").split(",")))


def report(
    spec: WantedVersion,
    version: GalleryVersion,
    *,
    before: ReplicationStatus | None,
    now: datetime,
    operation: Operation | None = None,
) -> ReplicationStatus:
    """Return the replication as the status shows it; `since` is kept while a state lasts.

    `operation` is the open announcement: what is seen of a new build began with it, and its pace counts from there.
    """
    announced = operation.action if operation else None
    begun = min(operation.requested_at, now) if operation and announced is ActionName.CREATE_VERSION else now
    names = [each.name for each in wanted(spec, version.location)]
    seen = {name: version.replication.get(name, _UNSEEN) for name in names}
    old = {region.name: region for region in before.regions} if before else {}
    shown = [
        _region(
            name, replication, old=old.get(name), now=now if old else _began(replication, begun, now=now)
        ).model_copy(update={"repairs": _repairs(name, version, old=old.get(name), announced=announced)})
        for name, replication in seen.items()
    ]
    extra = [RegionStatus(name=name, state=EXTRA) for name in sorted(version.region_names - set(names))]
    completed = sum(replication.state == COMPLETED for replication in seen.values())
    return ReplicationStatus(
        summary=f"{completed}/{len(names)}",
        progress=sum(_percent(replication) for replication in seen.values()) // len(names),
        regions=shown + extra,
    )


def _began(replication: RegionReplication, begun: datetime, *, now: datetime) -> datetime:
    return now if replication.state in (COMPLETED, FAILED) else begun


def _region(name: str, replication: RegionReplication, *, old: RegionStatus | None, now: datetime) -> RegionStatus:
    since = old.since if old and old.state == replication.state else now.replace(microsecond=0)
    return RegionStatus(
        name=name,
        state=replication.state,
        progress=_percent(replication),
        details=replication.details[:1024] or None,
        since=since,
        last_progress_time=_moved(replication, old=old, now=now),
    )


def _moved(replication: RegionReplication, *, old: RegionStatus | None, now: datetime) -> datetime | None:
    if replication.state in (COMPLETED, FAILED):
        return None
    stood = old and (old.state, old.progress) == (replication.state, _percent(replication))
    return (old.last_progress_time or old.since if old and stood else None) or now.replace(microsecond=0)


def _repairs(
    name: str, version: GalleryVersion, *, old: RegionStatus | None, announced: ActionName | None
) -> int | None:
    """Return how often a region was repaired, as long as it is known that it never was Completed.

    That is known from the announcement of its build, or from its absence, on; what is not known stays so.
    """
    if version.replication.get(name, _UNSEEN).state == COMPLETED:
        return None
    absent = name not in version.region_names
    if old is None:
        return 0 if absent or announced is ActionName.CREATE_VERSION else None
    if old.repairs is None:
        return None
    return old.repairs + (absent and announced is ActionName.REMOVE_REGIONS)


def _percent(replication: RegionReplication) -> int:
    return 100 if replication.state == COMPLETED else replication.progress
