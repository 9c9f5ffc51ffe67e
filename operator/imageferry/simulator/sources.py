"""Where the bits of a version come from: a managed image, a machine, another version, or disks and snapshots.

The source is read when the version is created and never again: afterwards its id is history, and the disks that are
shown are those that were seen then. A managed image feeds one version at a time (fact sheet, sections 5.1 and 6).
"""

from collections.abc import Mapping
from typing import Any

from imageferry.simulator.operations import Failure, Kind
from imageferry.simulator.regions import short_name
from imageferry.simulator.store import Resource
from imageferry.simulator.wire import ArmError, Json, conflict, invalid
from imageferry.simulator.world import World, in_order, lookup, section

SOURCE = "galleryImageVersion.properties.storageProfile.source.id"
_NAMES = ("id", "virtualMachineId")
_LARGEST_DISK_GB = 2048


def find(world: World, properties: Json, location: str) -> Resource | None:
    """Find the source; None when it is given by other means than an id that the simulator holds."""
    source = section(properties, "storageProfile", "source")
    if "communityGalleryImageId" in source or section(properties, "storageProfile", "osDiskImage"):
        return None
    source_id = next((source[name] for name in _NAMES if name in source), None)
    if not isinstance(source_id, str) or not source_id.casefold().startswith("/subscriptions/"):
        raise invalid(SOURCE, f"The value '{source_id}' of parameter {SOURCE} is not the id of a source.")
    found = lookup(world, source_id)
    if found is None:
        message = f"The source '{source_id}' is not found. Please make sure that it exists and is accessible."
        raise ArmError(404, "NotFound", message, target=source_id)
    if short_name(found.body["location"]) != short_name(location):
        raise invalid(
            SOURCE,
            f"The source '{source_id}' must be in the same region as the image version: it is in "
            f"'{found.body['location']}', the version in '{location}'.",
        )
    return found


def check_image(world: World, source: Resource, definition: Resource, *, shallow: bool) -> None:
    """Refuse at once what does not fit; a wrong generation is not among it (`verdict`)."""
    disk, defined = source.properties["storageProfile"]["osDisk"], definition.properties
    for name, words in (("osType", "OS type"), ("osState", "OS state")):
        if disk.get(name, "Generalized") != defined[name]:
            message = (
                f"The source image '{source.path.id}' has a different {words} ['{disk.get(name)}'] than the parent "
                f"gallery image '{definition.path.id}' ['{defined[name]}']."
            )
            raise ArmError(400, "BadRequest", message)
    _check_plan(world, source, definition)
    disks = [disk, *source.properties["storageProfile"].get("dataDisks", [])]
    if not shallow and any(each.get("diskSizeGB", 0) > _LARGEST_DISK_GB for each in disks):
        message = f"The gallery source resource size exceeds the max size supported: {_LARGEST_DISK_GB} GB."
        raise ArmError(400, "GallerySourceResourceExceedsMaxSize", message, target=source.path.id)
    if source.state(world.now) != "Succeeded":
        raise conflict(f"The source image '{source.path.id}' is in state '{source.state(world.now)}'.")
    for version in world.store.built_from(source.path.key):
        if _held_by(world, version):
            raise conflict(
                f"Too many requests on source '{source.path.id}': it is being used to build '{version.path.id}'."
            )


def _check_plan(world: World, source: Resource, definition: Resource) -> None:
    """Refuse an image of a machine from the Marketplace unless the definition repeats its plan."""
    machine = lookup(world, section(source.properties, "sourceVirtualMachine").get("id"))
    plan = section(machine.body, "plan") if machine is not None else {}
    wanted = section(definition.properties, "purchasePlan")
    if plan and any(plan.get(name) != wanted.get(name) for name in ("name", "publisher", "product")):
        message = (
            f"The source image '{source.path.id}' has a different purchase plan [{plan}] than the parent gallery image "
            f"'{definition.path.id}' [{wanted}]."
        )
        raise ArmError(400, "BadRequest", message)


def verdict(world: World, version: Resource) -> Failure | None:
    """Give the failure that an accepted build ends with at once: the source's generation is not the definition's."""
    parent = version.path.parent
    definition = world.store.find(parent.key) if parent else None
    source = lookup(world, section(version.properties, "storageProfile", "source").get("id"))
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


def storage_profile(world: World, sent: Json, source: Resource | None) -> Json:
    """Give what is stored of `storageProfile`: the source, and the disks that were seen in it."""
    profile = section(sent, "storageProfile")
    if "osDiskImage" in profile:
        return {
            "osDiskImage": _disk_image(world, profile["osDiskImage"], "ReadWrite"),
            **_data(_disk_image(world, each, "ReadOnly") for each in profile.get("dataDiskImages", [])),
        }
    return {"source": section(profile, "source"), **disk_images(source)}


def disk_images(source: Resource | None) -> Json:
    """Give the disks that a version built from that source has."""
    if source is None:
        return {}
    profile = section(source.properties, "storageProfile")
    if "osDiskImage" in profile:
        copied = {name: profile[name] for name in ("dataDiskImages",) if name in profile}
        return {"osDiskImage": {**profile["osDiskImage"], "source": {}}, **copied}
    disk = profile.get("osDisk", {})
    os_image = {"sizeInGB": disk.get("diskSizeGB", 30), "hostCaching": disk.get("caching", "None"), "source": {}}
    return {"osDiskImage": os_image, **_data(_sized(each) for each in profile.get("dataDisks", []))}


def unbuilt(storage: Json) -> Json:
    """Give what is shown before the build has ended: no disks that Azure finds out, and no sizes."""
    if "source" in storage:
        return {"source": storage["source"]}
    data = [_without_size(each) for each in storage.get("dataDiskImages", [])]
    return {"osDiskImage": _without_size(storage["osDiskImage"]), **_data(data)}


def _held_by(world: World, version: Resource) -> bool:
    operation = version.operation
    if operation is not None and operation.kind is Kind.CREATE and operation.running(world.now):
        return True
    waits = world.rules.source_busy_until_replicated
    return waits and any(replica.state(world.now) == "Replicating" for replica in version.replicas.values())


def _data(disks: Any) -> Json:  # noqa: ANN401 -- any iterable of disks
    found = list(disks)
    return {"dataDiskImages": found} if found else {}


def _sized(disk: Mapping[str, Any]) -> Json:
    return {"lun": disk["lun"], "sizeInGB": disk.get("diskSizeGB", 10), "hostCaching": disk.get("caching", "None")}


def _disk_image(world: World, sent: Json, caching: str) -> Json:
    """Fill in a disk that the caller names: a disk, a snapshot or a blob."""
    taken = section(sent, "source")
    found = lookup(world, taken.get("id"))
    size = 30 if found is None else found.properties.get("diskSizeGB", 30)
    known = {"sizeInGB": size, "hostCaching": sent.get("hostCaching", caching), "source": in_order(taken, "uri", "id")}
    return in_order({**known, **({"lun": sent["lun"]} if "lun" in sent else {})}, "lun")


def _without_size(disk: Json) -> Json:
    return {name: value for name, value in disk.items() if name != "sizeInGB"}
