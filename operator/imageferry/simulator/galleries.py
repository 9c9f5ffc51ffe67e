"""Galleries: `Microsoft.Compute/galleries`, sharing and soft-delete policy (fact sheet, sections 3.3 and 7)."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from imageferry.simulator.paths import ArmPath
from imageferry.simulator.store import Resource
from imageferry.simulator.wire import Json, conflict, invalid
from imageferry.simulator.world import (
    World,
    check_location,
    check_one_of,
    check_same_location,
    in_order,
    outer,
    outer_changed,
    section,
)

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._]{0,78}[A-Za-z0-9])?")
_KEPT = ("description", "softDeletePolicy", "sharingProfile")
_ORDER = ("description", "identifier", "sharingProfile", "provisioningState", "softDeletePolicy")
_COMMUNITY = ("communityGalleryEnabled", "publisherUri", "publisherContact", "eula", "publicNamePrefix", "publicNames")
_GROUPS = ("Subscriptions", "AADTenants")
_DAYS = {"retentionPeriodInDays": 7, "gracePeriodInDays": 7}
SOFT_DELETE_DAYS = _DAYS["retentionPeriodInDays"]


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
        raise conflict(
            f"The gallery name {path.name} is not unique within the subscription {path.subscription}. "
            "Please pick another gallery name."
        )
    sent = section(body, "properties")
    return outer(body, _filled({key: sent[key] for key in _KEPT if key in sent}))


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
    wanted = _filled({**kept, **{key: sent[key] for key in _KEPT if key in sent}})
    return outer_changed(resource, body, wanted, patch=patch)


def share(resource: Resource, body: Mapping[str, Any]) -> None:
    """Change who sees the gallery, as POST `…/share` does."""
    wanted = body.get("operationType")
    check_one_of(wanted, ("Add", "Remove", "Reset", "EnableCommunity"), "operationType")
    profile = section(resource.properties, "sharingProfile")
    if wanted == "Reset":
        profile = {"permissions": "Private"}
    elif wanted == "EnableCommunity":
        if profile.get("permissions") != "Community":
            raise invalid("operationType", "The gallery was not created for sharing with the community.")
        profile["communityGalleryInfo"] = {**profile["communityGalleryInfo"], "communityGalleryEnabled": True}
    else:
        if profile.get("permissions") != "Groups":
            raise invalid("operationType", "The gallery was not created for direct sharing.")
        profile = _with_groups(profile, body.get("groups") or [], add=wanted == "Add")
    resource.properties["sharingProfile"] = profile


def soft_deletes(gallery: Resource) -> bool:
    """Say whether deleted versions of this gallery can be restored."""
    return section(gallery.properties, "softDeletePolicy").get("isSoftDeleteEnabled") is True


def retention_days(gallery: Resource) -> float:
    """Say how long a deleted version can be restored."""
    days = section(gallery.properties, "softDeletePolicy").get("retentionPeriodInDays", SOFT_DELETE_DAYS)
    return float(days)


def render(world: World, resource: Resource) -> Json:
    """Give the properties as the caller sees them."""
    path = resource.path
    unique = f"{path.subscription}-{path.name.upper()}"
    shown = {
        **resource.properties,
        "identifier": {"uniqueName": unique},
        "provisioningState": resource.state(world.now),
    }
    return in_order(shown, *_ORDER)


def _filled(properties: Json) -> Json:
    """Complete the sharing profile, and check the soft-delete policy."""
    policy = section(properties, "softDeletePolicy")
    for name in _DAYS:
        days = policy.get(name)
        if days is not None and (not isinstance(days, int) or not 0 <= days <= 90):
            raise invalid(f"gallery.properties.softDeletePolicy.{name}", f"The value '{days}' of {name} is invalid.")
    if "sharingProfile" not in properties:
        return properties
    profile = section(properties, "sharingProfile")
    check_one_of(
        profile.get("permissions", "Private"),
        ("Private", "Groups", "Community"),
        "gallery.properties.sharingProfile.permissions",
    )
    if profile.get("permissions") == "Community":
        sent = section(profile, "communityGalleryInfo")
        public = {"publicNames": [f"{sent.get('publicNamePrefix')}-{uuid4()}"]}
        known = {"communityGalleryEnabled": False, **public, **sent}
        profile["communityGalleryInfo"] = in_order(known, *_COMMUNITY)
    return {**properties, "sharingProfile": in_order(profile, "permissions", "communityGalleryInfo", "groups")}


def _with_groups(profile: Json, sent: list[Json], *, add: bool) -> Json:
    present = {each["type"]: each["ids"] for each in profile.get("groups", [])}
    for group in sent:
        check_one_of(group.get("type"), _GROUPS, "groups.type")
        ids = present.get(group["type"], [])
        wanted = group.get("ids", [])
        present[group["type"]] = [*dict.fromkeys([*ids, *wanted])] if add else [id_ for id_ in ids if id_ not in wanted]
    groups = [{"type": kind, "ids": ids} for kind in _GROUPS if (ids := present.get(kind))]
    kept = {name: value for name, value in profile.items() if name != "groups"}
    return {**kept, **({"groups": groups} if groups else {})}
