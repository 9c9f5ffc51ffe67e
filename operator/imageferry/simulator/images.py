"""Managed images: `Microsoft.Compute/images`."""

import re
from typing import Any

from imageferry.simulator.paths import ArmPath, parse
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
    outer,
    outer_changed,
    section,
)

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,79}(?<![-.])", re.ASCII)
_DEFAULT_SIZES = {"Linux": 30, "Windows": 127}
_ORDER = ("sourceVirtualMachine", "extendedLocation", "storageProfile", "provisioningState", "hyperVGeneration")
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
    profile = _captured(world, str(machine), body["location"]) if machine else section(sent, "storageProfile")
    if "hyperVGeneration" not in sent and "blobUri" in section(profile, "osDisk"):
        raise invalid("hyperVGeneration", "Required parameter 'hyperVGeneration' is missing (null).")
    if "hyperVGeneration" in sent:
        check_one_of(sent["hyperVGeneration"], ("V1", "V2"), "hyperVGeneration")
    kept: Json = {
        name: sent[name] for name in ("sourceVirtualMachine", "hyperVGeneration", "extendedLocation") if name in sent
    }
    return outer(body, {**kept, "storageProfile": _profile(profile)})


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
        profile = stored["storageProfile"]
        unsized = [_without_size(disk) for disk in profile["dataDisks"]]
        ordered["storageProfile"] = {**profile, "osDisk": _without_size(profile["osDisk"]), "dataDisks": unsized}
    return ordered


def _profile(sent: Json) -> Json:
    disk = section(sent, "osDisk")
    check_one_of(disk.get("osType"), ("Linux", "Windows"), "imageDisk.osType")
    check_one_of(disk.get("osState"), ("Generalized", "Specialized"), "imageDisk.osState")
    data_disks = [_disk(each, 10) for each in sent.get("dataDisks", [])]
    rest = {"zoneResilient": sent["zoneResilient"]} if "zoneResilient" in sent else {}
    return {"osDisk": _disk(disk, _DEFAULT_SIZES[disk["osType"]]), "dataDisks": data_disks, **rest}


def _disk(sent: Json, size: int) -> Json:
    filled = {"diskSizeGB": size, "caching": "None", "storageAccountType": "Standard_LRS", **sent}
    return in_order(filled, *_DISK_ORDER)


def _without_size(disk: Json) -> Json:
    return {name: value for name, value in disk.items() if name != "diskSizeGB"}


def _captured(world: World, machine_id: str, location: str) -> Json:
    path = parse(machine_id)
    machine = world.store.find(path.key) if isinstance(path, ArmPath) else None
    if machine is None or short_name(machine.body["location"]) != short_name(location):
        message = f"The entity '{machine_id}' was not found in this Azure location."
        raise ArmError(404, "NotFound", message, target=machine_id)
    profile = section(machine.properties, "storageProfile")
    os_disk = {"osState": "Generalized", **_captured_disk(section(profile, "osDisk"), "ReadWrite")}
    return {"osDisk": os_disk, "dataDisks": [_captured_disk(disk, "None") for disk in profile.get("dataDisks", [])]}


def _captured_disk(disk: dict[str, Any], caching: str) -> Json:
    managed = section(disk, "managedDisk")
    kept: Json = {name: disk[name] for name in ("lun", "osType", "diskSizeGB") if name in disk}
    return {
        **kept,
        **({"managedDisk": {"id": managed["id"]}} if "id" in managed else {}),
        "caching": disk.get("caching", caching),
        "storageAccountType": managed.get("storageAccountType", "Standard_LRS"),
    }
