"""What ARM answers, read into facts. Unknown fields are tolerated, as ARM adds them without notice."""

from collections.abc import Mapping, Sequence
from typing import Any

from imageferry.migration.facts import (
    Disk,
    Gallery,
    GalleryDefinition,
    GalleryVersion,
    ListedVersion,
    ManagedImage,
    Plan,
    RegionReplication,
)
from imageferry.migration.regions import short_name

Json = Mapping[str, Any]


def managed_image(body: Json) -> ManagedImage:
    """Read a Microsoft.Compute/images resource."""
    properties = _object(body, "properties")
    storage = _object(properties, "storageProfile")
    os_disk = _object(storage, "osDisk")
    return ManagedImage(
        id=body["id"],
        location=short_name(body["location"]),
        provisioning_state=properties.get("provisioningState", "Unknown"),
        os_type=os_disk.get("osType", ""),
        os_state=os_disk.get("osState", ""),
        generation=properties.get("hyperVGeneration") or "V1",
        os_disk=_disk(os_disk, lun=None),
        data_disks=tuple(_disk(disk, lun=disk.get("lun")) for disk in _list(storage, "dataDisks")),
        source_virtual_machine=_object(properties, "sourceVirtualMachine").get("id"),
        created_at=_object(body, "systemData").get("createdAt"),
    )


def gallery(body: Json) -> Gallery:
    """Read a Microsoft.Compute/galleries resource."""
    properties = _object(body, "properties")
    return Gallery(
        id=body["id"],
        location=short_name(body["location"]),
        provisioning_state=properties.get("provisioningState", "Unknown"),
        tags=_object(body, "tags"),
        soft_delete=_object(properties, "softDeletePolicy").get("isSoftDeleteEnabled") is True,
    )


def definition(body: Json) -> GalleryDefinition:
    """Read a Microsoft.Compute/galleries/images resource."""
    properties = _object(body, "properties")
    identifier = _object(properties, "identifier")
    features = {each.get("name"): each.get("value") for each in _list(properties, "features")}
    return GalleryDefinition(
        id=body["id"],
        provisioning_state=properties.get("provisioningState", "Unknown"),
        os_type=properties.get("osType", ""),
        os_state=properties.get("osState", ""),
        generation=properties.get("hyperVGeneration") or "V1",
        security_type=features.get("SecurityType") or "Standard",
        architecture=properties.get("architecture") or "x64",
        identifier=(identifier.get("publisher", ""), identifier.get("offer", ""), identifier.get("sku", "")),
        purchase_plan=plan(properties.get("purchasePlan")),
        location=short_name(body["location"]),
        tags=_object(body, "tags"),
        properties=properties,
    )


def plan(body: Json | None) -> Plan | None:
    """Read a purchase plan, of a definition or of a machine."""
    return (body.get("name", ""), body.get("publisher", ""), body.get("product", "")) if body else None


def listed_version(body: Json) -> ListedVersion:
    """Read a version as a list shows it."""
    properties = _object(body, "properties")
    source = _object(_object(properties, "storageProfile"), "source").get("id") or ""
    return ListedVersion(body["name"], source, properties.get("provisioningState", "Unknown"))


def version(body: Json) -> GalleryVersion:
    """Read a Microsoft.Compute/galleries/images/versions resource that was asked for its replication status."""
    properties = _object(body, "properties")
    profile = _object(properties, "publishingProfile")
    regions = [{**region, "name": short_name(region["name"])} for region in _list(profile, "targetRegions")]
    summary = _list(_object(properties, "replicationStatus"), "summary")
    safety, storage = _object(properties, "safetyProfile"), _object(properties, "storageProfile")
    return GalleryVersion(
        id=body["id"],
        location=short_name(body["location"]),
        provisioning_state=properties.get("provisioningState", "Unknown"),
        source_id=_object(storage, "source").get("id") or "",
        published_date=profile.get("publishedDate") or "",
        replication_mode=profile.get("replicationMode") or "Full",
        tags=_object(body, "tags"),
        target_regions=tuple(regions),
        publishing_profile=profile,
        block_deletion_before_end_of_life=safety.get("blockDeletionBeforeEndOfLife"),
        allow_deletion_of_replicated_locations=safety.get("allowDeletionOfReplicatedLocations"),
        built=bool(storage.get("osDiskImage") or storage.get("dataDiskImages")),
        replication={short_name(each["region"]): _replication(each) for each in summary},
    )


def _replication(body: Json) -> RegionReplication:
    return RegionReplication(
        state=body.get("state") or "Unknown",
        progress=max(0, min(100, int(body.get("progress") or 0))),
        details=body.get("details") or "",
    )


def _disk(body: Json, *, lun: int | None) -> Disk:
    parts = (_object(body, "managedDisk").get("id"), _object(body, "snapshot").get("id"), body.get("blobUri"))
    return Disk(
        lun=lun,
        size_gb=body.get("diskSizeGB"),
        origin=tuple(part for part in parts if part),
        disk_encryption_set=_object(body, "diskEncryptionSet").get("id"),
    )


def _object(body: Json, key: str) -> Json:
    return body.get(key) or {}


def _list(body: Json, key: str) -> Sequence[Json]:
    return body.get(key) or ()
