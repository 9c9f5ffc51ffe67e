"""What can be known to go wrong, or to surprise, before the first write.

Findings block, warn or note. The same list stops a migration and tells a plan's reader.
Limits are Azure's (fact sheet, sections 4.3, 5.1 and 5.4).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from imageferry.api.extras import read_date
from imageferry.api.resource import ImageMigration
from imageferry.api.spec import ReplicationMode
from imageferry.api.status import FindingStatus, Severity
from imageferry.migration import definitions, regions
from imageferry.migration.errors import DeniedError, MigrationError
from imageferry.migration.facts import Disk, ManagedImage

LARGEST_DISK_GB = 2048
"""Beyond it ARM answers GallerySourceResourceExceedsMaxSize."""
MANY_REPLICAS = 50
LONGEST = 2048
"""Characters of a finding in the status."""
LARGE_DISK_GB = 1023
"""Beyond it older documentation, and some regions, refuse."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found; the message names field, finding and cure."""

    severity: Severity
    reason: str
    message: str

    @property
    def status(self) -> FindingStatus:
        """The finding as the status shows it."""
        return FindingStatus(severity=self.severity, reason=self.reason, message=self.message[:LONGEST])


def blocks(reason: str, message: str) -> Finding:
    """Return a finding with which the migration cannot go on."""
    return Finding(Severity.BLOCKS, reason, message)


def warns(reason: str, message: str) -> Finding:
    """Return a finding to look at."""
    return Finding(Severity.WARNS, reason, message)


def notes(reason: str, message: str) -> Finding:
    """Return a finding that is good to know."""
    return Finding(Severity.NOTES, reason, message)


def ordered(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings with what blocks first, then what warns."""
    return tuple(sorted(found, key=lambda finding: list(Severity).index(finding.severity)))


def blocking(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return those that block."""
    return tuple(finding for finding in found if finding.severity is Severity.BLOCKS)


def told(found: Iterable[Finding]) -> str:
    """Return findings as one text, each with its severity."""
    return "; ".join(f"{finding.severity}: {finding.message}" for finding in found)


def examine(migration: ImageMigration, image: ManagedImage, *, now: datetime) -> tuple[Finding, ...]:
    """Return what is found of an image that is to become a version; what blocks comes first."""
    found = (
        _settled(image),
        _os_type(image),
        _generalized(image),
        _size(migration, image),
        _contradictions(migration, image),
        _encrypted_elsewhere(migration, image),
        _shallow(migration, image),
        _encryption(migration, image),
        _keys_elsewhere(migration),
        end_of_life("version", migration.spec.version.end_of_life_date, now=now),
        _large(image),
        _unsized(image),
        _many_replicas(migration, image),
        _two_subscriptions(migration, image),
    )
    return ordered(finding for finding in found if finding)


def end_of_life(where: str, date: str | None, *, now: datetime) -> Finding | None:
    """Block when a PUT would carry an end of life that has passed."""
    if date is None or read_date(date) > now:
        return None
    message = f"spec.{where}.endOfLifeDate: {date} has passed, and Azure takes only dates to come; give a later one"
    return blocks("EndOfLifePassed", message)


def gallery_missing(migration: ImageMigration) -> Finding:
    """Return that there is no gallery, and none may be created."""
    return blocks(
        "GalleryMissing",
        f"spec.gallery.id: there is no gallery {migration.spec.gallery.id}; create it, let it be created by "
        "spec.gallery.create, or correct the id in a new ImageMigration",
    )


def _settled(image: ManagedImage) -> Finding | None:
    if image.provisioning_state == "Succeeded":
        return None
    cure = "create it anew" if image.provisioning_state == "Failed" else "wait until it is Succeeded"
    return blocks("SourceNotSettled", f"spec.source.managedImageId: the image is {image.provisioning_state}; {cure}")


def _os_type(image: ManagedImage) -> Finding | None:
    if image.os_type:
        return None
    return blocks("SourceIncomplete", "spec.source.managedImageId: the image has no OS type; create it anew")


def _generalized(image: ManagedImage) -> Finding | None:
    if image.os_state == definitions.GENERALIZED:
        return None
    return blocks(
        "SourceNotGeneralized",
        f"spec.source.managedImageId: the image is {image.os_state or 'of no OS state'}; only generalized images can "
        "be migrated: generalize the machine and capture it again",
    )


def _size(migration: ImageMigration, image: ManagedImage) -> Finding | None:
    large = [disk for disk in image.disks if (disk.size_gb or 0) > LARGEST_DISK_GB]
    if not large or migration.spec.version.replication_mode is ReplicationMode.SHALLOW:
        return None
    return blocks(
        "SourceTooLarge",
        f"spec.source.managedImageId: {_named(large[0])} has {large[0].size_gb} GB, and Azure builds versions from "
        f"disks of at most {LARGEST_DISK_GB} GB; capture a smaller image, or use a new ImageMigration with "
        "version.replicationMode Shallow",
    )


def _large(image: ManagedImage) -> Finding | None:
    large = [disk for disk in image.disks if LARGE_DISK_GB < (disk.size_gb or 0) <= LARGEST_DISK_GB]
    if not large:
        return None
    return warns(
        "SourceLarge",
        f"spec.source.managedImageId: {_named(large[0])} has {large[0].size_gb} GB; some of Azure's documents "
        f"still name {LARGE_DISK_GB} GB as the limit, and the build takes long",
    )


def _unsized(image: ManagedImage) -> Finding | None:
    unsized = [disk for disk in image.disks if disk.size_gb is None]
    if not unsized:
        return None
    message = f"Azure tells no size of {_named(unsized[0])}; it must not exceed {LARGEST_DISK_GB} GB"
    return warns("SizeUnknown", f"spec.source.managedImageId: {message}")


def _contradictions(migration: ImageMigration, image: ManagedImage) -> Finding | None:
    wrong = definitions.contradictions(migration.spec.definition, image)
    if not wrong:
        return None
    text = "; ".join(str(difference) for difference in wrong)
    return blocks("DefinitionContradictsSource", f"spec.definition: {text}; correct the field, or leave it out")


def _encrypted_elsewhere(migration: ImageMigration, image: ManagedImage) -> Finding | None:
    """Block when an encrypted image would leave its subscription, which Azure refuses."""
    encrypted = any(disk.disk_encryption_set for disk in image.disks)
    source, gallery = image.id.split("/")[2], migration.spec.gallery.id.split("/")[2]
    if not encrypted or source.casefold() == gallery.casefold():
        return None
    return blocks(
        "EncryptedSourceElsewhere",
        f"spec.gallery.id: the image is encrypted with a disk encryption set and lies in subscription {source}, so its "
        f"version has to be there too, and the gallery lies in {gallery}; use a gallery in {source}",
    )


def _encryption(migration: ImageMigration, image: ManagedImage) -> Finding | None:
    """Block when disk encryption sets do not cover every region and every disk."""
    version = migration.spec.version
    wanted = regions.wanted(version, image.location)
    if not any(region.encryption for region in wanted):
        return None
    if version.replication_mode is ReplicationMode.SHALLOW:
        message = "a Shallow version cannot have disk encryption sets; take them out, or use replicationMode Full"
        return blocks("EncryptionOfShallow", f"spec.version.targetRegions: {message}")
    luns = sorted(disk.lun or 0 for disk in image.data_disks)
    for region in wanted:
        given = region.encryption
        covered = sorted(disk.lun for disk in (given.data_disk_images or ())) if given else []
        if not given or not given.os_disk_image or covered != luns:
            message = (
                f"spec.version.targetRegions: {region.name} needs encryption for the OS disk and once for each LUN of "
                f"the image ({_luns(luns)}), because a region has encryption; it has it for "
                f"{'the OS disk' if given and given.os_disk_image else 'no OS disk'} and LUNs {_luns(covered)}. "
                "Complete it (take the region out, and list it anew), or take it out everywhere"
            )
            return blocks("EncryptionIncomplete", message)
    return None


def _luns(numbers: list[int]) -> str:
    return ", ".join(str(number) for number in numbers) or "none"


def _keys_elsewhere(migration: ImageMigration) -> Finding | None:
    """Block when a disk encryption set is not in the version's subscription."""
    gallery = migration.spec.gallery.id.split("/")[2]
    for region in migration.spec.version.target_regions or ():
        for resource in regions.encryption_sets(region):
            if resource.split("/")[2].casefold() != gallery.casefold():
                message = (
                    f"spec.version.targetRegions: {region.name}: the disk encryption set {resource} has to be in the "
                    f"subscription of the gallery, {gallery}; take the region out, and list it anew with one that is"
                )
                return blocks("EncryptionSetElsewhere", message)
    return None


def _shallow(migration: ImageMigration, image: ManagedImage) -> Finding | None:
    """Block when a Shallow version would not be alone: it has one region, its own, and one copy."""
    version = migration.spec.version
    if version.replication_mode is not ReplicationMode.SHALLOW:
        return None
    wanted = regions.wanted(version, image.location)
    if len(wanted) == 1 and (wanted[0].regional_replica_count or version.replica_count) == 1:
        return None
    message = (
        f"spec.version: a Shallow version has one region, that of the image ({image.location}), and one copy; correct "
        "targetRegions and replicaCount, or use replicationMode Full in a new ImageMigration"
    )
    return blocks("ShallowNotAlone", message)


def _many_replicas(migration: ImageMigration, image: ManagedImage) -> Finding | None:
    version = migration.spec.version
    for region in regions.wanted(version, image.location):
        count = region.regional_replica_count or version.replica_count
        if count > MANY_REPLICAS:
            message = (
                f"spec.version.targetRegions: {region.name} gets {count} copies; Azure takes 100, though one of its "
                f"documents names {MANY_REPLICAS}, and each copy is billed"
            )
            return warns("ManyReplicas", message)
    return None


def _two_subscriptions(migration: ImageMigration, image: ManagedImage) -> Finding | None:
    source, gallery = image.id.split("/")[2], migration.spec.gallery.id.split("/")[2]
    if source.casefold() == gallery.casefold() or _encrypted_elsewhere(migration, image):
        return None
    return notes("SourceInAnotherSubscription", f"spec.gallery.id: {across(source, gallery)}")


def explain(migration: ImageMigration, error: MigrationError) -> None:
    """Name the rights in both subscriptions where one was refused."""
    source = migration.spec.source.managed_image_id.split("/")[2]
    gallery = migration.spec.gallery.id.split("/")[2]
    refused = isinstance(error, DeniedError) or error.code in ("SubscriptionNotFound", "InvalidSubscriptionId")
    if refused and source.casefold() != gallery.casefold():
        error.message += f"; {across(source, gallery)}"


def across(source: str, gallery: str) -> str:
    """Say what rights a migration from one subscription into another needs."""
    return (
        f"the image is in subscription {source} and the gallery in {gallery}, which have to be of one tenant; the "
        f"operator's identity needs Microsoft.Compute/images/read in {source}, and Microsoft.Compute/galleries/read, "
        f"/images/* and /images/versions/* below it in {gallery}"
    )


def _named(disk: Disk) -> str:
    return "the OS disk" if disk.lun is None else f"the data disk at LUN {disk.lun}"
