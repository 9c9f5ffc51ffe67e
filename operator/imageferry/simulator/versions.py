"""Image versions: `Microsoft.Compute/galleries/images/versions`.

Some mistakes are refused at once, others are accepted and fail in the operation: `create` speaks for the first,
`sources.verdict` for the second. The source is read only by the first PUT.
"""

import re

from imageferry.simulator import sources
from imageferry.simulator.definitions import TRUSTED_BY_DEFAULT
from imageferry.simulator.paths import ArmPath
from imageferry.simulator.regions import short_name
from imageferry.simulator.store import Resource
from imageferry.simulator.targets import (
    STORAGE_TYPES,
    TARGET,
    check_change,
    check_places,
    check_replica_count,
    extended,
    normalised,
)
from imageferry.simulator.wire import ArmError, Json, conflict, invalid, timestamp
from imageferry.simulator.world import (
    World,
    check_future,
    check_location,
    check_same_location,
    check_unchanged,
    lookup,
    outer,
    outer_changed,
    section,
    spelled,
)

KIND = "galleries/images/versions"
_NAME = re.compile(r"(\d{1,10})\.(\d{1,10})\.(\d{1,10})", re.ASCII)
_LARGEST = 2**31 - 1
_SAFETY_SINCE = "2022-03-03"
_OPTIONAL = ("endOfLifeDate", "replicationMode", "storageAccountStrategy")
_SAFETY = ("allowDeletionOfReplicatedLocations", "blockDeletionBeforeEndOfLife")


def create(world: World, path: ArmPath, body: Json) -> Json:
    """Check a new version and give what is stored."""
    name = _NAME.fullmatch(path.name)
    if name is None or any(int(part) > _LARGEST for part in name.groups()):
        message = f"The version name '{path.name}' is invalid. It must be Major.Minor.Patch of 32-bit integers."
        raise invalid("galleryImageVersionName", message)
    check_location(body, path.kind)
    properties = section(body, "properties")
    source = sources.find(world, properties, body["location"])
    wanted = section(properties, "publishingProfile")
    _check_end_of_life(world, wanted)
    profile = _profile(wanted, body["location"]) | {"publishedDate": timestamp(world.now)}
    check_places(world, profile["targetRegions"], path.subscription)
    definition = world.store.find(path.parent.key) if path.parent else None
    if definition is not None and source is not None and source.path.kind == "images":
        sources.check_image(world, source, definition, shallow=profile.get("replicationMode") == "Shallow")
    stored = {
        "publishingProfile": profile,
        "storageProfile": sources.storage_profile(world, properties, source),
        "safetyProfile": _safety({}, properties),
    }
    return outer(body, stored)


def fill(world: World, resource: Resource) -> None:
    """Complete the body of a version that was put in directly, as if it had been built."""
    sent, location = resource.properties, resource.body["location"]
    storage, given = section(sent, "storageProfile"), section(sent, "publishingProfile")
    profile = _profile(given, location) | {"publishedDate": given.get("publishedDate") or timestamp(world.now)}
    if "osDiskImage" not in storage:
        storage.setdefault("source", {})
    image = lookup(world, section(storage, "source").get("id"))
    resource.body["properties"] = {
        "publishingProfile": profile,
        "storageProfile": {**sources.disk_images(image), **storage},
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
        check_unchanged(stored["storageProfile"].get("source", {}).get("id"), source, sources.SOURCE)
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
    known = {each["name"] for each in present["targetRegions"]}
    added = [each for each in profile["targetRegions"] if each["name"] not in known]
    check_places(world, added, resource.path.subscription)
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


def render(world: World, resource: Resource) -> Json:
    """Give the properties as the caller sees them; disk images only once built, safety by api-version."""
    stored = resource.properties
    built = resource.is_built(world.now)
    storage = stored["storageProfile"] if built else sources.unbuilt(stored["storageProfile"])
    shown: Json = {"publishingProfile": stored["publishingProfile"], "storageProfile": storage}
    if world.api_version >= _SAFETY_SINCE:
        shown["safetyProfile"] = {"reportedForPolicyViolation": False, **stored["safetyProfile"]}
    if world.api_version >= TRUSTED_BY_DEFAULT and built:
        shown["validationsProfile"] = {"validationOperationStatus": "NotStarted"}
    return shown


def _home_completed(world: World, resource: Resource) -> bool:
    home = resource.replicas.get(short_name(resource.body["location"]))
    return home is not None and home.state(world.now) == "Completed"


def _check_end_of_life(world: World, sent: Json) -> None:
    """Refuse a date that has passed; one that was set long ago and is not sent again does not matter."""
    if sent.get("endOfLifeDate"):
        check_future(sent["endOfLifeDate"], world.now, f"{TARGET}.endOfLifeDate")


def _profile(sent: Json, location: str) -> Json:
    """Give the publishing profile with every default filled in."""
    count, storage = sent.get("replicaCount") or 1, sent.get("storageAccountType") or "Standard_LRS"
    check_replica_count(count, f"{TARGET}.replicaCount")
    storage = spelled(storage, STORAGE_TYPES, f"{TARGET}.storageAccountType")
    if sent.get("replicationMode") is not None:
        mode = spelled(sent["replicationMode"], ("Full", "Shallow"), f"{TARGET}.replicationMode")
        sent = {**sent, "replicationMode": mode}
    defaults = {**sent, "replicaCount": count, "storageAccountType": storage}
    regions = normalised(defaults, location)
    if sent.get("replicationMode") == "Shallow" and (len(regions) > 1 or regions[0]["regionalReplicaCount"] > 1):
        raise invalid(f"{TARGET}.targetRegions", "Shallow replication supports one region with one replica only.")
    return {
        "targetRegions": regions,
        **({"targetExtendedLocations": extended(defaults)} if sent.get("targetExtendedLocations") else {}),
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
