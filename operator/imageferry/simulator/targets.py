"""Target regions of a version: what may be asked, and how Azure writes it back.

The answer spells regions by display name and fills counts and storage in, so a client that
compares it with what it sent sees a difference unless it normalises.
"""

from collections.abc import Mapping
from typing import Any

from imageferry.simulator.regions import WITHOUT_ZONES, display_name, short_name
from imageferry.simulator.wire import ArmError, Json, invalid
from imageferry.simulator.world import World, check_unchanged, in_order, lookup, section, spelled

KIND = "Microsoft.Compute/galleries/images/versions"
TARGET = "galleryImageVersion.properties.publishingProfile"
STORAGE_TYPES = ("Standard_LRS", "Standard_ZRS", "Premium_LRS", "PremiumV2_LRS")


def check_replica_count(count: object, target: str) -> None:
    """Refuse a count outside 1 to 100."""
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 100:
        raise invalid(
            target, f"The value '{count}' of parameter {target} is out of range. The value must be between 1 and 100."
        )


def normalised(profile: Json, location: str) -> list[Json]:
    """Give the target regions as Azure writes them; `profile` has the defaults; absent means the version's location."""
    sent = profile.get("targetRegions") or [{"name": location}]
    if not isinstance(sent, list) or not all(isinstance(each, Mapping) for each in sent):
        raise invalid(f"{TARGET}.targetRegions", "The target regions must be a list of objects.")
    regions = [_region(each, profile) for each in sent]
    names = [short_name(region["name"]) for region in regions]
    for name in names:
        if names.count(name) > 1:
            raise invalid(f"{TARGET}.targetRegions", f"The target regions contain the duplicate region '{name}'.")
    _check_encryption(regions, shallow=profile.get("replicationMode") == "Shallow")
    if short_name(location) not in names:
        message = f"The target regions must contain the location '{location}' of the image version."
        raise invalid(f"{TARGET}.targetRegions", message)
    return regions


def _check_encryption(regions: list[Json], *, shallow: bool) -> None:
    """Refuse customer keys that are not given everywhere alike (fact sheet, section 5.4)."""
    disks = [_encrypted_disks(region) for region in regions]
    target = f"{TARGET}.targetRegions.encryption"
    if any(each != disks[0] for each in disks):
        message = "A disk encryption set that is given for a disk in one region is required in all regions."
        raise invalid(target, message)
    if shallow and disks[0]:
        raise invalid(target, "Shallow replication does not support customer managed keys.")


def _encrypted_disks(region: Json) -> list[object]:
    encryption = section(region, "encryption")
    luns = [disk.get("lun") for disk in encryption.get("dataDiskImages", []) if disk.get("diskEncryptionSetId")]
    if len(set(luns)) != len(luns) or not all(isinstance(lun, int) for lun in luns):
        raise invalid(f"{TARGET}.targetRegions.encryption", "The data disk images need a LUN each, and no LUN twice.")
    system = ["os"] if section(encryption, "osDiskImage").get("diskEncryptionSetId") else []
    return [*system, *sorted(luns)]


def extended(profile: Json) -> list[Json]:
    """Give the edge zones as Azure writes them."""
    found = []
    for sent in profile["targetExtendedLocations"]:
        zone = in_order(section(sent, "extendedLocation"), "type", "name")
        filled = {
            **sent,
            "extendedLocation": zone,
            "name": display_name(str(sent.get("name", ""))) or sent.get("name"),
            "extendedLocationReplicaCount": sent.get("extendedLocationReplicaCount") or profile["replicaCount"],
            "storageAccountType": sent.get("storageAccountType") or "StandardSSD_LRS",
            **({"encryption": _encryption(dict(sent))} if sent.get("encryption") else {}),
        }
        order = ("extendedLocation", "name", "extendedLocationReplicaCount", "storageAccountType", "encryption")
        found.append(in_order(filled, *order))
    return found


def check_change(present: list[Json], wanted: list[Json], *, removable: bool) -> None:
    """Refuse what cannot change in regions that exist, and removal where deletion is not allowed."""
    after = {short_name(region["name"]): region for region in wanted}
    for region in present:
        name = short_name(region["name"])
        if name not in after:
            if not removable:
                raise ArmError(
                    409,
                    "OperationNotAllowed",
                    f"The replicated region '{region['name']}' cannot be removed, because "
                    "allowDeletionOfReplicatedLocations is false.",
                    target=f"{TARGET}.targetRegions",
                )
            continue
        for fixed in ("storageAccountType", "encryption"):
            check_unchanged(region.get(fixed), after[name].get(fixed), f"{TARGET}.targetRegions.{fixed}")


def check_places(world: World, regions: list[Json], subscription: str) -> None:
    """Refuse regions without access, and disk encryption sets that are missing or elsewhere (fact sheet, 4.4, 5.4)."""
    for region in regions:
        short = short_name(region["name"])
        if short in (*world.rules.disabled_regions, *world.rules.unoffered_regions):
            message = f"The location '{region['name']}' is not available for resource type '{KIND}'."
            raise ArmError(400, "LocationNotAvailableForResourceType", message, target=f"{TARGET}.targetRegions")
        encryption = section(region, "encryption")
        for disk in (section(encryption, "osDiskImage"), *encryption.get("dataDiskImages", [])):
            if disk.get("diskEncryptionSetId"):
                _check_encryption_set(world, str(disk["diskEncryptionSetId"]), short, subscription)


def _check_encryption_set(world: World, resource_id: str, region: str, subscription: str) -> None:
    found = lookup(world, resource_id)
    if found is None:
        message = f"The disk encryption set '{resource_id}' is not found."
        raise ArmError(404, "NotFound", message, target=resource_id)
    there = found.body["location"]
    if found.path.subscription.casefold() != subscription.casefold() or short_name(there) != region:
        message = (
            f"The disk encryption set '{resource_id}' must be in the subscription of the image version and in the "
            f"region '{region}': it is in '{there}'."
        )
        raise ArmError(400, "BadRequest", message, target=resource_id)


def _region(sent: Mapping[str, Any], profile: Json) -> Json:
    shown = display_name(str(sent.get("name", "")))
    if shown is None:
        message = f"The target region '{sent.get('name')}' is not a region in which gallery images can be published."
        raise invalid(f"{TARGET}.targetRegions", message)
    count = sent.get("regionalReplicaCount") or profile["replicaCount"]
    check_replica_count(count, f"{TARGET}.targetRegions.regionalReplicaCount")
    wanted = sent.get("storageAccountType") or profile["storageAccountType"]
    storage = spelled(wanted, STORAGE_TYPES, f"{TARGET}.targetRegions.storageAccountType")
    if storage == "Standard_ZRS" and short_name(shown) in WITHOUT_ZONES:
        message = f"The storage account type 'Standard_ZRS' is not supported in the region '{shown}'."
        raise ArmError(400, "BadRequest", message, target=f"{TARGET}.targetRegions.storageAccountType")
    rest = {key: value for key, value in sent.items() if key in ("excludeFromLatest", "additionalReplicaSets")}
    encryption = {"encryption": _encryption(dict(sent))} if sent.get("encryption") else {}
    return {"name": shown, "regionalReplicaCount": count, "storageAccountType": storage, **encryption, **rest}


def _encryption(sent: Json) -> Json:
    encryption = section(sent, "encryption")
    if "osDiskImage" in encryption:
        encryption["osDiskImage"] = {"securityProfile": {}, **section(encryption, "osDiskImage")}
    disks = encryption.get("dataDiskImages")
    if isinstance(disks, list):
        encryption["dataDiskImages"] = [in_order(disk, "lun", "diskEncryptionSetId") for disk in disks]
    return in_order(encryption, "osDiskImage", "dataDiskImages")
