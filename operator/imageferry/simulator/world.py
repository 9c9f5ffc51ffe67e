"""What every rule of the provider looks at, and the checks that all resource types share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from imageferry.simulator.governance import Governance
from imageferry.simulator.paths import ArmPath, parse
from imageferry.simulator.regions import DISPLAY_NAMES, display_name, short_name
from imageferry.simulator.settings import Durations, Rules
from imageferry.simulator.store import Resource, Store
from imageferry.simulator.wire import ArmError, Json, immutable, invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The cloud at one instant, seen through one api-version."""

    store: Store
    now: datetime
    durations: Durations
    rules: Rules
    governance: Governance
    api_version: str


def lookup(world: World, resource_id: object) -> Resource | None:
    """Find what an id in a body names; None when it is no id, or nothing is there."""
    path = parse(resource_id) if isinstance(resource_id, str) else None
    return world.store.find(path.key) if isinstance(path, ArmPath) else None


def section(body: Mapping[str, Any], *names: str) -> Json:
    """Give a nested object, or an empty one where it is absent; 400 when something else stands there."""
    found: object = body
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
        if found is None:
            return {}
        if not isinstance(found, Mapping):
            raise ArmError(
                400,
                "InvalidRequestContent",
                f"The request content was invalid and could not be deserialized: '{name}' is not an object.",
                gateway=True,
            )
    return dict(found) if isinstance(found, Mapping) else {}


def check_location(body: Json, kind: str) -> None:
    """Refuse a body without a location, or with one that Azure does not have."""
    location = body.get("location")
    if not isinstance(location, str) or not location:
        raise ArmError(400, "LocationRequired", "The location property is required for this definition.", gateway=True)
    if display_name(location) is None:
        regions = ",".join(DISPLAY_NAMES)
        message = (
            f"The provided location '{location}' is not available for resource type 'Microsoft.Compute/{kind}'. "
            f"List of available regions for the resource type is '{regions}'."
        )
        raise ArmError(400, "LocationNotAvailableForResourceType", message, gateway=True)


def check_same_location(resource: Resource, body: Json) -> None:
    """Refuse to move a resource that exists."""
    present, wanted = str(resource.body["location"]), str(body.get("location", resource.body["location"]))
    if short_name(wanted) != short_name(present):
        path = resource.path
        message = (
            f"The resource '{path.name}' already exists in location '{present}' in resource group '{path.group}'. "
            f"A resource with the same name cannot be created in location '{wanted}'. "
            "Please select a new resource name."
        )
        raise ArmError(409, "InvalidResourceLocation", message, gateway=True)


def check_one_of(value: object, allowed: Iterable[str], target: str) -> None:
    """Refuse a value outside an enum."""
    choices = tuple(allowed)
    if value not in choices:
        raise invalid(target, f"The value '{value}' of parameter {target} is invalid. Allowed: {', '.join(choices)}.")


def spelled(value: object, allowed: Iterable[str], target: str) -> str:
    """Give a value of an enum as Azure spells it: it takes any casing; 400 for a value outside."""
    choices = {each.casefold(): each for each in allowed}
    found = choices.get(value.casefold()) if isinstance(value, str) else None
    check_one_of(value if found is None else found, choices.values(), target)
    return str(found)


def check_unchanged(present: object, wanted: object, target: str) -> None:
    """Refuse to change an immutable property; strings are compared without case."""
    if _folded(present) != _folded(wanted):
        raise immutable(target)


def check_future(value: object, now: datetime, target: str) -> None:
    """Refuse an end of life that is no date or has passed."""
    try:
        instant = datetime.fromisoformat(str(value))
    except ValueError:
        raise invalid(target, f"The value '{value}' of parameter {target} is not a date.") from None
    if (instant if instant.tzinfo else instant.replace(tzinfo=UTC)) <= now:
        raise invalid(target, f"The value '{value}' of parameter {target} must be in the future.")


def outer(body: Json, properties: Json) -> Json:
    """Give location, tags if sent, and the properties to be stored."""
    return {"location": body["location"], **_tags(body), "properties": properties}


def outer_changed(resource: Resource, body: Json, properties: Json, *, patch: bool) -> Json:
    """Give what is stored after a change: a PUT replaces tags, a PATCH without tags keeps them; all else stays."""
    kept = {name: value for name, value in resource.body.items() if name != "tags" or patch}
    return kept | _tags(body) | {"properties": properties}


def _tags(body: Json) -> Json:
    return {"tags": dict(body["tags"])} if isinstance(body.get("tags"), Mapping) else {}


def in_order(found: Mapping[str, Any], *first: str) -> Json:
    """Give the entries in the order in which Azure writes them: those named first, then the rest."""
    return {name: found[name] for name in first if name in found} | dict(found)


def _folded(value: object) -> object:
    if isinstance(value, str):
        return value.casefold()
    if isinstance(value, Mapping):
        return {key: _folded(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_folded(each) for each in value]
    return value
