"""Virtual machines: what they are made from, the disks and network cards that come with them, and what outlives them.

A machine can be made from a version only in a region whose copy is Completed, whatever the operation says
(fact sheet, sections 3.6, 4.2 and 6). The default of `deleteOption` leaves disks and cards behind.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

from imageferry.simulator.operations import Kind
from imageferry.simulator.paths import ArmPath
from imageferry.simulator.regions import short_name
from imageferry.simulator.store import Resource
from imageferry.simulator.wire import ArmError, Json, conflict, invalid, timestamp
from imageferry.simulator.world import World, check_location, lookup, outer, section

KIND = "virtualMachines"


def create(world: World, path: ArmPath, body: Json) -> Json:
    """Check a new machine and give what is stored; its disks and cards exist from now on."""
    check_location(body, path.kind)
    sent = section(body, "properties")
    if not section(sent, "hardwareProfile").get("vmSize"):
        raise invalid("vmSize", "Required parameter 'vmSize' is missing (null).")
    reference = section(sent, "storageProfile", "imageReference")
    image = _image(world, path, reference, body["location"]) if "id" in reference else None
    if image is not None:
        _check_fits(world, image, body)
    storage = _storage(world, path, sent, image)
    properties = {
        **{name: value for name, value in sent.items() if name not in ("provisioningState", "osProfile")},
        "vmId": str(uuid4()),
        "storageProfile": storage,
        **({"osProfile": _without_secrets(section(sent, "osProfile"))} if "osProfile" in sent else {}),
        "networkProfile": _network(world, path, section(sent, "networkProfile"), body["location"]),
        "timeCreated": timestamp(world.now),
    }
    _add_disks(world, path, storage, body["location"])
    plan = {"plan": body["plan"]} if "plan" in body else {}
    return outer(body, properties) | plan


def render(world: World, resource: Resource) -> Json:
    """Give the properties as the caller sees them."""
    shown = dict(resource.properties)
    if world.api_version >= "2025-11-01":
        shown["securityProfile"] = {"securityType": "Standard", **section(shown, "securityProfile")}
    return shown


def instance_view(world: World, resource: Resource) -> Json:
    """Give how the machine is: provisioned, running, and whether its agent has reported."""
    operation, state = resource.operation, resource.state(world.now)
    failure = operation.failure if operation and not operation.running(world.now) else None
    code = "updating" if state in ("Creating", "Updating") else state.lower()
    statuses: list[Json] = [_status(f"ProvisioningState/{code}" + (f"/{failure.code}" if failure else ""))]
    view: Json = {"disks": [{"name": name, "statuses": statuses[:1]} for name in _disk_names(resource)]}
    creating = operation is not None and operation.kind is Kind.CREATE and operation.running(world.now)
    if not creating:
        statuses.append(_status("PowerState/running"))
        ready = "Ready" if failure is None else "Not Ready"
        agent = "succeeded" if failure is None else "Unavailable"
        view["vmAgent"] = {
            "vmAgentVersion": "2.13.1.1" if failure is None else "Unknown",
            "statuses": [{**_status(f"ProvisioningState/{agent}"), "displayStatus": ready}],
        }
    return {**view, "statuses": statuses}


def leftovers(world: World, resource: Resource) -> tuple[list[Resource], list[Resource]]:
    """Give what goes with the machine and what stays, by `deleteOption`; the default stays."""
    storage = section(resource.properties, "storageProfile")
    parts = [(section(disk, "managedDisk").get("id"), disk.get("deleteOption")) for disk in _disks(storage)]
    cards = section(resource.properties, "networkProfile").get("networkInterfaces", [])
    parts += [(card.get("id"), section(card, "properties").get("deleteOption")) for card in cards]
    goes: list[Resource] = []
    stays: list[Resource] = []
    for resource_id, option in parts:
        if (found := lookup(world, resource_id)) is not None:
            (goes if option == "Delete" else stays).append(found)
    return goes, stays


def check_image_free(world: World, image: Resource) -> None:
    """Refuse to delete a managed image from which machines are being made."""
    making = [
        machine.path.id
        for machine in world.store.of_kind(image.path.subscription, KIND)
        if machine.operation is not None
        and machine.operation.kind is Kind.CREATE
        and machine.operation.running(world.now)
        and _reference(machine) == image.path.key
    ]
    if making:
        message = (
            f"Operation 'DELETE' is not allowed on VM image '{image.path.name}' since VMs are being provisioned "
            f"from it: '{','.join(making)}'."
        )
        raise ArmError(409, "OperationNotAllowed", message)


def _reference(machine: Resource) -> str:
    return str(section(machine.properties, "storageProfile", "imageReference").get("id", "")).casefold()


def _image(world: World, path: ArmPath, reference: Json, location: str) -> Resource:
    wanted = str(reference["id"])
    found = lookup(world, wanted) or world.store.soft_deleted_resource(wanted.casefold())
    if found is None:
        raise _absent(wanted, location) if "/galleries/" in wanted.casefold() else _unknown(wanted)
    if found.path.kind == "galleries/images":
        return _latest(world, found, location)
    if found.path.kind == "galleries/images/versions":
        if not available(world, found, location):
            raise _absent(wanted, location)
        return found
    elsewhere = short_name(found.body["location"]) != short_name(location)
    if found.path.kind != "images" or elsewhere or found.path.subscription != path.subscription:
        raise _unknown(wanted)
    if not found.is_built(world.now):
        raise conflict(f"The image '{wanted}' is in state '{found.state(world.now)}'.")
    return found


def available(world: World, version: Resource, location: str) -> bool:
    """Say whether machines can be made from a version in a region."""
    copy = version.replicas.get(short_name(location))
    return copy is not None and copy.state(world.now) == "Completed"


def _latest(world: World, definition: Resource, location: str) -> Resource:
    """Give the highest version that is not excluded; the region's word outranks the version's."""
    candidates = [
        version
        for version in world.store.children(definition.path)
        if available(world, version, location) and not _excluded(version, location)
    ]
    if not candidates:
        message = (
            f"The gallery image {definition.path.id} has no latest image version in {location} region. Please contact "
            "image owner to replicate to this region, or change your requested region."
        )
        raise ArmError(404, "GalleryImageNotFound", message, target="imageReference")
    return max(candidates, key=lambda version: [int(part) for part in version.path.name.split(".")])


def _excluded(version: Resource, location: str) -> bool:
    profile = version.properties["publishingProfile"]
    for region in profile["targetRegions"]:
        if short_name(region["name"]) == short_name(location) and region.get("excludeFromLatest") is not None:
            return bool(region["excludeFromLatest"])
    return bool(profile.get("excludeFromLatest"))


def _absent(wanted: str, location: str) -> ArmError:
    message = (
        f"The gallery image {wanted} is not available in {location} region. Please contact image owner to replicate "
        "to this region, or change your requested region."
    )
    return ArmError(404, "GalleryImageNotFound", message, target="imageReference")


def _unknown(wanted: str) -> ArmError:
    return ArmError(404, "NotFound", "The entity was not found in this Azure location.", target=wanted)


def _check_fits(world: World, image: Resource, body: Json) -> None:
    sent = section(body, "properties")
    trusted = section(sent, "securityProfile").get("securityType") == "TrustedLaunch"
    if image.path.kind == "images":
        generalized = image.properties["storageProfile"]["osDisk"].get("osState", "Generalized") == "Generalized"
        if trusted:
            message = "Managed Images are not supported for virtual machines with security type TrustedLaunch."
            raise ArmError(400, "BadRequest", message)
    else:
        parent = image.path.parent
        definition = world.store.find(parent.key) if parent else None
        defined = definition.properties if definition else {}
        generalized = defined.get("osState", "Generalized") == "Generalized"
        _check_definition(defined, section(body, "plan"), trusted=trusted)
    if generalized != ("osProfile" in sent):
        words = "Required parameter 'osProfile' is missing (null)." if generalized else "'osProfile' is not allowed."
        raise invalid("osProfile", words)


def _check_definition(defined: Json, plan: Json, *, trusted: bool) -> None:
    wanted = section(defined, "purchasePlan")
    if wanted and any(plan.get(name) != wanted.get(name) for name in ("name", "publisher", "product")):
        message = (
            "Creating a virtual machine from Marketplace image or a custom image sourced from a Marketplace image "
            "requires Plan information in the request."
        )
        raise ArmError(400, "VMMarketplaceInvalidInput", message)
    security = {each["name"]: each["value"] for each in defined.get("features", [])}.get("SecurityType", "Standard")
    if trusted and not security.startswith("TrustedLaunch"):
        message = f"Security type of VM is not compatible with the security type '{security}' of attached OS Disk."
        raise ArmError(400, "BadRequest", message)


def _storage(world: World, path: ArmPath, sent: Json, image: Resource | None) -> Json:
    """Give the storage profile with every disk named and filled in; disks of the image come by their LUN."""
    storage = section(sent, "storageProfile")
    profile = section(image.properties, "storageProfile") if image else {}
    system = section(profile, "osDisk") or section(profile, "osDiskImage")
    os_type = system.get("osType") or _os_type(world, image)
    disk = {"osType": os_type, "diskSizeGB": system.get("diskSizeGB") or system.get("sizeInGB") or 30}
    given = {each["lun"]: each for each in storage.get("dataDisks", [])}
    of_image = {each["lun"]: each for each in profile.get("dataDisks", []) or profile.get("dataDiskImages", [])}
    data = [
        {
            "lun": lun,
            "createOption": "FromImage" if lun in of_image else "Empty",
            "diskSizeGB": of_image.get(lun, {}).get("diskSizeGB") or of_image.get(lun, {}).get("sizeInGB") or 10,
            **given.get(lun, {}),
        }
        for lun in sorted({*given, *of_image})
    ]
    reference = dict(section(storage, "imageReference"))
    if image is not None and image.path.kind != "images":
        reference["exactVersion"] = image.path.name
    filled = {
        "imageReference": reference,
        "osDisk": _named(path, {"createOption": "FromImage", **disk, **section(storage, "osDisk")}, "OsDisk_1"),
        "dataDisks": [_named(path, each, f"disk_lun{each['lun']}") for each in data],
    }
    return {**storage, **filled}


def _os_type(world: World, image: Resource | None) -> str:
    definition = world.store.find(image.path.parent.key) if image is not None and image.path.parent else None
    return str(definition.properties.get("osType", "Linux")) if definition else "Linux"


def _named(path: ArmPath, disk: Json, suffix: str) -> Json:
    name = disk.get("name") or f"{path.name}_{suffix}_{uuid4().hex}"
    managed = {"storageAccountType": "Premium_LRS", **section(disk, "managedDisk")}
    managed.setdefault("id", ArmPath(path.subscription, path.group, ("disks",), (name,)).id)
    return {**disk, "name": name, "managedDisk": managed, "deleteOption": disk.get("deleteOption") or "Detach"}


def _add_disks(world: World, path: ArmPath, storage: Json, location: str) -> None:
    for disk in _disks(storage):
        found = lookup(world, disk["managedDisk"]["id"])
        if found is not None:
            continue
        named = ArmPath(path.subscription, path.group, ("disks",), (disk["name"],))
        properties: Json = {
            "diskSizeGB": disk["diskSizeGB"],
            "diskState": "Attached",
            "managedBy": path.id,
            "creationData": {"createOption": disk["createOption"]},
            **({"osType": disk["osType"]} if "osType" in disk else {}),
        }
        body = {
            "location": location,
            "properties": properties,
            "sku": {"name": disk["managedDisk"]["storageAccountType"]},
        }
        world.store.add(Resource(named, body, built=world.now))


def _network(world: World, path: ArmPath, sent: Json, location: str) -> Json:
    """Give the network profile with the cards that are described in it made and named."""
    cards = [dict(card) for card in sent.get("networkInterfaces", [])]
    for wanted in sent.get("networkInterfaceConfigurations", []):
        properties = section(wanted, "properties")
        named = ArmPath(path.subscription, path.group, ("networkInterfaces",), (f"{wanted['name']}-{uuid4().hex[:8]}",))
        body = {
            "location": location,
            "properties": {
                "ipConfigurations": properties.get("ipConfigurations", []),
                "virtualMachine": {"id": path.id},
            },
        }
        world.store.add(Resource(named, body, built=world.now))
        kept = {name: properties[name] for name in ("primary", "deleteOption") if name in properties}
        cards.append({"id": named.id, "properties": kept})
    return {"networkInterfaces": cards}


def _disks(storage: Mapping[str, Any]) -> Iterator[Json]:
    if "osDisk" in storage:
        yield storage["osDisk"]
    yield from storage.get("dataDisks", [])


def _disk_names(resource: Resource) -> list[str]:
    return [str(disk.get("name", "")) for disk in _disks(section(resource.properties, "storageProfile"))]


def _without_secrets(profile: Json) -> Json:
    return {name: value for name, value in profile.items() if name not in ("adminPassword", "customData", "secrets")}


def _status(code: str) -> Json:
    return {"code": code, "level": "Info", "displayStatus": code.rpartition("/")[2].capitalize()}
