"""Resources that others refer to and nobody here looks into: disks, snapshots, networks, scale sets."""

from imageferry.simulator.paths import ArmPath
from imageferry.simulator.store import Resource
from imageferry.simulator.wire import Json
from imageferry.simulator.world import World, check_location, check_same_location, outer, outer_changed, section

_EXTRA = ("sku", "zones", "identity", "plan", "extendedLocation")


def create(world: World, path: ArmPath, body: Json) -> Json:
    """Give what is stored of a new resource: what was sent."""
    del world
    check_location(body, path.kind)
    properties = {name: value for name, value in section(body, "properties").items() if name != "provisioningState"}
    return outer(body, properties) | {name: body[name] for name in _EXTRA if name in body}


def change(world: World, resource: Resource, body: Json, *, patch: bool) -> Json:
    """Give what is stored after a change: a PATCH merges, a PUT replaces."""
    del world
    check_same_location(resource, body)
    sent = {name: body[name] for name in _EXTRA if name in body}
    properties = {**(resource.properties if patch else {}), **section(body, "properties")}
    properties.pop("provisioningState", None)
    return outer_changed(resource, body, properties, patch=patch) | sent


def render(world: World, resource: Resource) -> Json:
    """Give the properties as the caller sees them."""
    del world
    return dict(resource.properties)
