"""Image definitions: `Microsoft.Compute/galleries/images`.

What an absent generation or security type becomes depends on the api-version of the PUT, not of the reader.
"""

import re
from collections.abc import Mapping
from typing import Any

from imageferry.simulator.paths import ArmPath
from imageferry.simulator.store import Resource
from imageferry.simulator.wire import Json, conflict, invalid
from imageferry.simulator.world import (
    World,
    check_location,
    check_same_location,
    check_unchanged,
    outer,
    outer_changed,
    section,
    spelled,
)

TRUSTED_BY_DEFAULT = "2025-03-03"
_ARCHITECTURE_SINCE = "2021-07-01"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,79}(?<![-.])", re.ASCII)
_PART = re.compile(r"[\w.-]+(?<!\.)", re.ASCII)
_LENGTHS = {"publisher": 128, "offer": 64, "sku": 64}
_ORDER = ("hyperVGeneration", "architecture", "features", "osType", "osState", "identifier")
_FIXED = (
    "hyperVGeneration",
    "architecture",
    "osType",
    "osState",
    "identifier",
    "purchasePlan",
    "eula",
    "privacyStatementUri",
)
_ENUMS = {
    "osType": ("Linux", "Windows"),
    "osState": ("Generalized", "Specialized"),
    "hyperVGeneration": ("V1", "V2"),
    "architecture": ("x64", "Arm64"),
}
_CASES = {
    value.casefold(): value
    for value in (
        "Standard",
        "TrustedLaunchSupported",
        "TrustedLaunch",
        "ConfidentialVMSupported",
        "ConfidentialVM",
        "TrustedLaunchAndConfidentialVmSupported",
        "True",
        "False",
    )
}


def create(world: World, path: ArmPath, body: Json) -> Json:
    """Check a new definition and give what is stored, defaults filled in."""
    if not _NAME.fullmatch(path.name):
        raise invalid("galleryImageName", f"The gallery image name '{path.name}' is invalid.")
    check_location(body, path.kind)
    properties = _checked(section(body, "properties"))
    modern = world.api_version >= TRUSTED_BY_DEFAULT
    properties.setdefault("hyperVGeneration", "V2" if modern else "V1")
    properties.setdefault("architecture", "x64")
    names = {feature["name"] for feature in properties.get("features", [])}
    if modern and properties["hyperVGeneration"] == "V2" and "SecurityType" not in names:
        trusted = {"name": "SecurityType", "value": "TrustedLaunchSupported"}
        properties["features"] = [*properties.get("features", []), trusted]
    _check_security(properties)
    _check_unique(world, path, properties["identifier"])
    return outer(body, properties)


def change(world: World, resource: Resource, body: Json, *, patch: bool) -> Json:
    """Check a change and give what is stored: identity fields cannot change, an end of life cannot be unset."""
    del world
    check_same_location(resource, body)
    present, sent = resource.properties, section(body, "properties")
    wanted = _cleaned(sent) if patch else _checked(sent)
    for name in _FIXED:
        if name in wanted:
            check_unchanged(present.get(name), wanted[name], f"galleryImage.properties.{name}")
    if "features" in wanted and not present.get("allowUpdateImage"):
        check_unchanged(_by_name(present), _by_name(wanted), "galleryImage.properties.features")
    lasting = (*_FIXED, "features", "endOfLifeDate", "allowUpdateImage")
    kept = present if patch else {name: present[name] for name in lasting if name in present}
    return outer_changed(resource, body, {**kept, **wanted}, patch=patch)


def render(world: World, resource: Resource) -> Json:
    """Give the properties as the caller sees them, in Azure's order."""
    stored = resource.properties
    ordered = {name: stored[name] for name in _ORDER if name in stored}
    if world.api_version < _ARCHITECTURE_SINCE:
        ordered.pop("architecture", None)
    return {**ordered, **{name: value for name, value in stored.items() if name not in _ORDER}}


def _checked(sent: Json) -> Json:
    for name, allowed in _ENUMS.items():
        if name in sent or name in ("osType", "osState"):
            sent = {**sent, name: spelled(sent.get(name), allowed, f"galleryImage.properties.{name}")}
    identifier = section(sent, "identifier")
    for part, longest in _LENGTHS.items():
        value = identifier.get(part)
        if not isinstance(value, str) or not _PART.fullmatch(value) or len(value) > longest:
            target = f"galleryImage.properties.identifier.{part}"
            raise invalid(target, f"The value '{value}' of parameter {target} is invalid.")
    return _cleaned(sent)


def _cleaned(sent: Json) -> Json:
    """Drop what Azure drops (`disallowed: {}`, `features: []`, read-only fields), and re-case feature values."""
    kept = {name: value for name, value in sent.items() if value not in ({}, [], None) and name != "provisioningState"}
    if "identifier" in kept:
        kept["identifier"] = {part: kept["identifier"][part] for part in _LENGTHS if part in kept["identifier"]}
    if "features" in kept:
        kept["features"] = [_feature(each) for each in kept["features"]]
    return kept


def _feature(sent: Mapping[str, Any]) -> Json:
    if "name" not in sent:
        raise invalid("galleryImage.properties.features", "A feature without a name is invalid.")
    value = str(sent.get("value", ""))
    return {**sent, "value": _CASES.get(value.casefold(), value)}


def _by_name(properties: Json) -> dict[str, str]:
    return {feature["name"]: feature["value"] for feature in properties.get("features", [])}


def _check_security(properties: Json) -> None:
    security = _by_name(properties).get("SecurityType", "Standard")
    if security != "Standard" and properties["hyperVGeneration"] != "V2":
        message = f"The security type '{security}' is only supported for Hypervisor generation V2."
        raise invalid("galleryImage.properties.features", message)


def _check_unique(world: World, path: ArmPath, identifier: Json) -> None:
    wanted = [identifier[part].casefold() for part in _LENGTHS]
    for sibling in world.store.collection(path.collection_key):
        if [sibling.properties["identifier"][part].casefold() for part in _LENGTHS] == wanted:
            raise conflict(
                f"Gallery image: {sibling.path.name} identified by (publisher:{identifier['publisher']}, "
                f"offer:{identifier['offer']}, sku:{identifier['sku']}) already exists. "
                "Choose a different publisher, offer, sku combination."
            )
