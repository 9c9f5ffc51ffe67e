"""Managed images: `Microsoft.Compute/images`."""

import re
from typing import Any

from imageferry.simulator.paths import ArmPath
from imageferry.simulator.regions import short_name
from imageferry.simulator.store import Resource
from imageferry.simulator.wire import ArmError, Json, invalid
from imageferry.simulator.world import (
    World,
    check_location,
    check_one_of,
    check_same_location,
    check_unchanged,
    in_order,
    lookup,
    outer,
    outer_changed,
    section,
)

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,79}(?<![-.])", re.ASCII)
_DEFAULT_SIZES = {"Linux": 30, "Windows": 127}
_ORDER = ("sourceVirtualMachine", "storageProfile", "provisioningState", "hyperVGeneration")
_DISK_ORDER = (
    "lun",
    "osType",
    "osState",
    "diskSizeGB",
    "managedDisk",
    "blobUri",
    "snapshot",
    "caching",
    "storageAccountType",
)


def create(world: World, path: ArmPath, body: Json) -> Json:
    """Check a new image and give what is stored; an image of a machine takes its disks over."""
    if not _NAME.fullmatch(path.name):
        raise invalid("imageName", f"The image name '{path.name}' is invalid.")
    check_location(body, path.kind)
    sent = section(body, "properties")
    machine = section(sent, "sourceVirtualMachine").get("id")
    profile = section(sent, "storageProfile")
    if not machine:
        _check_references(world, profile)
    else:
        profile = _captured(world, str(machine), body["location"]) | {
            name: profile[name] for name in ("zoneResilient",) if name in profile
        }
    if not machine and "hyperVGeneration" not in sent and "blobUri" in section(profile, "osDisk"):
        raise invalid("hyperVGeneration", "Required parameter 'hyperVGeneration' is missing (null).")
    if "hyperVGeneration" in sent:
        check_one_of(sent["hyperVGeneration"], ("V1", "V2"), "hyperVGeneration")
    kept: Json = {name: sent[name] for name in ("sourceVirtualMachine", "hyperVGeneration") if name in sent}
    zone = (
        {"extendedLocation": in_order(body["extendedLocation"], "type", "name")} if "extendedLocation" in body else {}
    )
    return outer(body, {**kept, "storageProfile": _profile(world, profile)}) | zone


def change(world: World, resource: Resource, body: Json, *, patch: bool) -> Json:
    """Check a change and give what is stored: only tags can change."""
    del world
    check_same_location(resource, body)
    sent = section(body, "properties")
    for name in ("sourceVirtualMachine", "hyperVGeneration"):
        if name in sent:
            check_unchanged(resource.properties.get(name), sent[name], name)
    disk, wanted = resource.properties["storageProfile"]["osDisk"], section(sent, "storageProfile", "osDisk")
    for name, value in wanted.items():
        check_unchanged(disk.get(name), value, f"imageDisk.{name}")
    return outer_changed(resource, body, resource.properties, patch=patch)


def render(world: World, resource: Resource) -> Json:
    """Give the properties as the caller sees them; disk sizes only once the image is built."""
    stored = resource.properties
    ordered = in_order({**stored, "provisioningState": resource.state(world.now)}, *_ORDER)
    if not resource.is_built(world.now):
        profile = stored["storageProfile"]  # the size of a blob is known at once
        unsized = [_without_size(disk) for disk in profile["dataDisks"]]
        ordered["storageProfile"] = {**profile, "osDisk": _without_size(profile["osDisk"]), "dataDisks": unsized}
    return ordered


def _profile(world: World, sent: Json) -> Json:
    disk = section(sent, "osDisk")
    check_one_of(disk.get("osType"), ("Linux", "Windows"), "imageDisk.osType")
    check_one_of(disk.get("osState"), ("Generalized", "Specialized"), "imageDisk.osState")
    data_disks = [_disk(world, each, 10) for each in sent.get("dataDisks", [])]
    rest = {"zoneResilient": sent["zoneResilient"]} if "zoneResilient" in sent else {}
    return {"osDisk": _disk(world, disk, _DEFAULT_SIZES[disk["osType"]]), "dataDisks": data_disks, **rest}


def _check_references(world: World, profile: Json) -> None:
    """Refuse disks and snapshots that do not exist."""
    for disk in (section(profile, "osDisk"), *profile.get("dataDisks", [])):
        for reference in ("managedDisk", "snapshot"):
            taken = section(disk, reference).get("id")
            if taken is not None and lookup(world, taken) is None:
                message = "The entity was not found in this Azure location."
                raise ArmError(404, "NotFound", message, target=str(taken))


def _disk(world: World, sent: Json, size: int) -> Json:
    """Fill a disk in; its size and storage are those of the disk or snapshot that it is taken from."""
    found: Json = {"diskSizeGB": size, "caching": "None", "storageAccountType": "Standard_LRS"}
    for reference in ("managedDisk", "snapshot"):
        taken = section(sent, reference).get("id")
        source = lookup(world, taken)
        if source is not None:
            found["diskSizeGB"] = source.properties.get("diskSizeGB", size)
            found["storageAccountType"] = section(source.body, "sku").get("name", found["storageAccountType"])
    return in_order({**found, **sent}, *_DISK_ORDER)


def _without_size(disk: Json) -> Json:
    return {name: value for name, value in disk.items() if name != "diskSizeGB" or "blobUri" in disk}


def _captured(world: World, machine_id: str, location: str) -> Json:
    machine = lookup(world, machine_id)
    if machine is None or short_name(machine.body["location"]) != short_name(location):
        raise ArmError(404, "NotFound", "The entity was not found in this Azure location.", target=machine_id)
    profile = section(machine.properties, "storageProfile")
    os_disk = {"osState": "Generalized", **_captured_disk(section(profile, "osDisk"), "ReadWrite")}
    return {"osDisk": os_disk, "dataDisks": [_captured_disk(disk, "None") for disk in profile.get("dataDisks", [])]}


def _captured_disk(disk: dict[str, Any], caching: str) -> Json:
    managed = section(disk, "managedDisk")
    kept: Json = {name: disk[name] for name in ("lun", "osType", "diskSizeGB") if name in disk}
    return {
        **kept,
        **({"managedDisk": {"id": managed["id"]}} if "id" in managed else {}),
        **({"blobUri": disk["vhd"]["uri"]} if "uri" in section(disk, "vhd") else {}),
        "caching": disk.get("caching", caching),
        "storageAccountType": managed.get("storageAccountType", "Standard_LRS"),
    }
