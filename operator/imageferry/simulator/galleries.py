"""Galleries: `Microsoft.Compute/galleries`."""

import re

from imageferry.simulator.paths import ArmPath
from imageferry.simulator.store import Resource
from imageferry.simulator.wire import Json, conflict, invalid
from imageferry.simulator.world import World, check_location, check_same_location, outer, outer_changed, section

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._]{0,78}[A-Za-z0-9])?")
_KEPT = ("description", "softDeletePolicy", "sharingProfile")


def create(world: World, path: ArmPath, body: Json) -> Json:
    """Check a new gallery and give what is stored."""
    if not _NAME.fullmatch(path.name):
        raise invalid(
            "galleryName",
            f"The gallery name '{path.name}' is invalid. Allowed are 1 to 80 letters, digits, dots and underscores, "
            "starting and ending with a letter or digit.",
        )
    check_location(body, path.kind)
    twins = (
        g for g in world.store.of_kind(path.subscription, "galleries") if g.path.name.casefold() == path.name.casefold()
    )
    if any(twins):
        raise conflict(f"The gallery name '{path.name}' is not unique in the subscription.")
    sent = section(body, "properties")
    return outer(body, {key: sent[key] for key in _KEPT if key in sent})


def change(world: World, resource: Resource, body: Json, *, patch: bool) -> Json:
    """Check a change and give what is stored."""
    del world
    check_same_location(resource, body)
    sent = section(body, "properties")
    kept = (
        resource.properties
        if patch
        else {key: resource.properties[key] for key in _KEPT[1:] if key in resource.properties}
    )
    return outer_changed(resource, body, {**kept, **{key: sent[key] for key in _KEPT if key in sent}}, patch=patch)


def render(world: World, resource: Resource) -> Json:
    """Give the properties as the caller sees them."""
    del world
    path = resource.path
    unique = f"{path.subscription}-{path.name.upper()}"
    return {**resource.properties, "identifier": {"uniqueName": unique}}
