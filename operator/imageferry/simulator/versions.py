"""Image versions: `Microsoft.Compute/galleries/images/versions`.

Some mistakes are refused at once, others are accepted and fail in the operation: `create` speaks for the first,
`verdict` for the second. The source is read only by the first PUT.
"""

import re

from imageferry.simulator.definitions import TRUSTED_BY_DEFAULT
from imageferry.simulator.operations import Failure, Kind
from imageferry.simulator.paths import ArmPath, parse
from imageferry.simulator.regions import short_name
from imageferry.simulator.store import Resource
from imageferry.simulator.targets import STORAGE_TYPES, TARGET, check_change, check_replica_count, normalised
from imageferry.simulator.wire import ArmError, Json, conflict, invalid, timestamp
from imageferry.simulator.world import (
    World,
    check_future,
    check_location,
    check_one_of,
    check_same_location,
    check_unchanged,
    outer,
    outer_changed,
    section,
)

KIND = "galleries/images/versions"
SOURCE = "galleryImageVersion.properties.storageProfile.source.id"
_NAME = re.compile(r"(\d{1,10})\.(\d{1,10})\.(\d{1,10})", re.ASCII)
_LARGEST = 2**31 - 1
_LARGEST_DISK_GB = 2048
_SAFETY_SINCE = "2022-03-03"
_OPTIONAL = ("endOfLifeDate", "replicationMode", "targetExtendedLocations", "storageAccountStrategy")
_SAFETY = ("allowDeletionOfReplicatedLocations", "blockDeletionBeforeEndOfLife")


def create(world: World, path: ArmPath, body: Json) -> Json:
    """Check a new version and give what is stored."""
    name = _NAME.fullmatch(path.name)
    if name is None or any(int(part) > _LARGEST for part in name.groups()):
        message = f"The version name '{path.name}' is invalid. It must be Major.Minor.Patch of 32-bit integers."
        raise invalid("galleryImageVersionName", message)
    check_location(body, path.kind)
    properties = section(body, "properties")
    source = _source(world, properties, body["location"])
    wanted = section(properties, "publishingProfile")
    _check_end_of_life(world, wanted)
    profile = _profile(wanted, body["location"]) | {"publishedDate": timestamp(world.now)}
    definition = world.store.find(path.parent.key) if path.parent else None
    if definition is not None and source is not None and source.path.kind == "images":
        _check_image(world, source, definition, shallow=profile.get("replicationMode") == "Shallow")
    stored = {
        "publishingProfile": profile,
        "storageProfile": {"source": section(properties, "storageProfile", "source"), **_disk_images(source)},
        "safetyProfile": _safety({}, properties),
    }
    return outer(body, stored)


def fill(world: World, resource: Resource) -> None:
    """Complete the body of a version that was put in directly, as if it had been built."""
    sent, location = resource.properties, resource.body["location"]
    storage, given = section(sent, "storageProfile"), section(sent, "publishingProfile")
    profile = _profile(given, location) | {"publishedDate": given.get("publishedDate") or timestamp(world.now)}
    source = storage.setdefault("source", {})
    path = parse(source["id"]) if isinstance(source.get("id"), str) else None
    image = world.store.find(path.key) if isinstance(path, ArmPath) else None
    resource.body["properties"] = {
        "publishingProfile": profile,
        "storageProfile": {"source": source, **_disk_images(image), **storage},
        "safetyProfile": _safety({}, sent),
    }


def change(world: World, resource: Resource, body: Json, *, patch: bool) -> Json:
    """Check a change and give what is stored: regions are replaced, the source and the published date stay."""
    check_same_location(resource, body)
    stored, sent = resource.properties, section(body, "properties")
    location, present = resource.body["location"], stored["publishingProfile"]
    if resource.state(world.now) == "Failed" and not _home_completed(world, resource):
        raise conflict(
            f"The gallery image version '{resource.path.id}' is in a failed state. Delete it and create it again."
        )
    source = section(sent, "storageProfile", "source").get("id")
    if source is not None:
        check_unchanged(stored["storageProfile"].get("source", {}).get("id"), source, SOURCE)
    wanted = section(sent, "publishingProfile")
    _check_end_of_life(world, wanted)
    for fixed in ("storageAccountType", "replicationMode"):
        if fixed in wanted:
            check_unchanged(present.get(fixed), wanted[fixed], f"{TARGET}.{fixed}")
    lasting = (
        present if patch else {key: present[key] for key in ("storageAccountType", "replicationMode") if key in present}
    )
    regions = {"targetRegions": present["targetRegions"]} if "targetRegions" not in wanted else {}
    profile = _profile({**lasting, **wanted, **regions}, location) | {"publishedDate": present["publishedDate"]}
    safety = _safety(stored["safetyProfile"], sent)
    removable = safety["allowDeletionOfReplicatedLocations"]
    check_change(present["targetRegions"], profile["targetRegions"], removable=removable)
    properties = {"publishingProfile": profile, "storageProfile": stored["storageProfile"], "safetyProfile": safety}
    return outer_changed(resource, body, properties, patch=patch)


def check_delete(world: World, resource: Resource) -> None:
    """Refuse to delete a version that is protected until its end of life."""
    profile, safety = resource.properties["publishingProfile"], resource.properties["safetyProfile"]
    end = profile.get("endOfLifeDate")
    if not safety.get("blockDeletionBeforeEndOfLife") or not end:
        return
    try:
        check_future(end, world.now, "endOfLifeDate")
    except ArmError:
        return
    message = f"The gallery image version '{resource.path.name}' cannot be deleted before its end of life date '{end}'."
    raise ArmError(409, "DeleteGalleryImageVersionBlockedBeforeEndOfLife", message)


def verdict(world: World, resource: Resource) -> Failure | None:
    """Give the failure that an accepted build ends with at once: the source's generation is not the definition's."""
    parent = resource.path.parent
    definition = world.store.find(parent.key) if parent else None
    source = _stored_source(world, resource)
    if definition is None or source is None or source.path.kind != "images":
        return None
    wanted = definition.properties.get("hyperVGeneration", "V1")
    found = source.properties.get("hyperVGeneration", "V1")
    if wanted == found:
        return None
    message = (
        f"The source image '{source.path.id}' has a different Hypervisor generation ['{found}'] than the parent "
        f"gallery image '{definition.path.id}' ['{wanted}']."
    )
    return Failure("Conflict", message)


def render(world: World, resource: Resource) -> Json:
    """Give the properties as the caller sees them; disk images only once built, safety by api-version."""
    stored = resource.properties
    storage = stored["storageProfile"]
    if not resource.is_built(world.now):
        storage = {"source": storage["source"]}
    shown: Json = {"publishingProfile": stored["publishingProfile"], "storageProfile": storage}
    if world.api_version >= _SAFETY_SINCE:
        shown["safetyProfile"] = {"reportedForPolicyViolation": False, **stored["safetyProfile"]}
    if world.api_version >= TRUSTED_BY_DEFAULT and resource.is_built(world.now):
        shown["validationsProfile"] = {"validationOperationStatus": "NotStarted"}
    return shown


def _home_completed(world: World, resource: Resource) -> bool:
    home = resource.replicas.get(short_name(resource.body["location"]))
    return home is not None and home.state(world.now) == "Completed"


def _stored_source(world: World, resource: Resource) -> Resource | None:
    source = resource.properties["storageProfile"]["source"].get("id")
    path = parse(source) if isinstance(source, str) else None
    return world.store.find(path.key) if isinstance(path, ArmPath) else None


def _source(world: World, properties: Json, location: str) -> Resource | None:
    """Find the source; None when it is given by other means than an id that the simulator holds."""
    source = section(properties, "storageProfile", "source")
    if "communityGalleryImageId" in source or section(properties, "storageProfile", "osDiskImage"):
        return None
    source_id = source.get("id")
    path = parse(source_id) if isinstance(source_id, str) else None
    if not isinstance(path, ArmPath) or not path.names or path.is_collection:
        raise invalid(SOURCE, f"The value '{source_id}' of parameter {SOURCE} is not the id of a source.")
    found = world.store.find(path.key)
    if found is None:
        message = f"The source '{source_id}' is not found. Please make sure that it exists and is accessible."
        raise ArmError(404, "NotFound", message, target=str(source_id))
    if short_name(found.body["location"]) != short_name(location):
        raise invalid(
            SOURCE,
            f"The source '{source_id}' must be in the same region as the image version: it is in "
            f"'{found.body['location']}', the version in '{location}'.",
        )
    return found


def _check_image(world: World, source: Resource, definition: Resource, *, shallow: bool) -> None:
    disk, defined = source.properties["storageProfile"]["osDisk"], definition.properties
    for name, words in (("osType", "OS type"), ("osState", "OS state")):
        if disk.get(name, "Generalized") != defined[name]:
            message = (
                f"The source image '{source.path.id}' has a different {words} ['{disk.get(name)}'] than the parent "
                f"gallery image '{definition.path.id}' ['{defined[name]}']."
            )
            raise ArmError(400, "BadRequest", message)
    disks = [disk, *source.properties["storageProfile"].get("dataDisks", [])]
    if not shallow and any(each.get("diskSizeGB", 0) > _LARGEST_DISK_GB for each in disks):
        message = f"The gallery source resource size exceeds the max size supported: {_LARGEST_DISK_GB} GB."
        raise ArmError(400, "GallerySourceResourceExceedsMaxSize", message, target=source.path.id)
    if source.state(world.now) != "Succeeded":
        raise conflict(f"The source image '{source.path.id}' is in state '{source.state(world.now)}'.")
    for version in world.store.built_from(source.path.key):
        if _holds_source(world, version):
            raise conflict(
                f"Too many requests on source '{source.path.id}': it is being used to build '{version.path.id}'."
            )


def _holds_source(world: World, version: Resource) -> bool:
    operation = version.operation
    if operation is not None and operation.kind is Kind.CREATE and operation.running(world.now):
        return True
    waits = world.rules.source_busy_until_replicated
    return waits and any(replica.state(world.now) == "Replicating" for replica in version.replicas.values())


def _disk_images(source: Resource | None) -> Json:
    if source is None or source.path.kind != "images":
        return {}
    profile = source.properties["storageProfile"]
    disk, data_disks = profile["osDisk"], profile.get("dataDisks", [])
    os_image = {"sizeInGB": disk.get("diskSizeGB", 30), "hostCaching": disk.get("caching", "None"), "source": {}}
    data_images = [
        {"lun": each["lun"], "sizeInGB": each.get("diskSizeGB", 10), "hostCaching": each.get("caching", "None")}
        for each in data_disks
    ]
    return {"osDiskImage": os_image, **({"dataDiskImages": data_images} if data_images else {})}


def _check_end_of_life(world: World, sent: Json) -> None:
    """Refuse a date that has passed; one that was set long ago and is not sent again does not matter."""
    if sent.get("endOfLifeDate"):
        check_future(sent["endOfLifeDate"], world.now, f"{TARGET}.endOfLifeDate")


def _profile(sent: Json, location: str) -> Json:
    """Give the publishing profile with every default filled in."""
    count, storage = sent.get("replicaCount") or 1, sent.get("storageAccountType") or "Standard_LRS"
    check_replica_count(count, f"{TARGET}.replicaCount")
    check_one_of(storage, STORAGE_TYPES, f"{TARGET}.storageAccountType")
    if "replicationMode" in sent:
        check_one_of(sent["replicationMode"], ("Full", "Shallow"), f"{TARGET}.replicationMode")
    defaults = {**sent, "replicaCount": count, "storageAccountType": storage}
    regions = normalised(defaults, location)
    if sent.get("replicationMode") == "Shallow" and (len(regions) > 1 or regions[0]["regionalReplicaCount"] > 1):
        raise invalid(f"{TARGET}.targetRegions", "Shallow replication supports one region with one replica only.")
    return {
        "targetRegions": regions,
        "replicaCount": count,
        "excludeFromLatest": bool(sent.get("excludeFromLatest", False)),
        "publishedDate": "",
        "storageAccountType": storage,
        **{name: sent[name] for name in _OPTIONAL if sent.get(name) is not None},
    }


def _safety(present: Json, properties: Json) -> Json:
    sent = section(properties, "safetyProfile")
    kept = {"allowDeletionOfReplicatedLocations": False, **present}
    return {**kept, **{name: bool(sent[name]) for name in _SAFETY if sent.get(name) is not None}}
