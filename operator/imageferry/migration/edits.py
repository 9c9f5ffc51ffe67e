"""Which edits of the spec have to be carried into Azure: a comparison of three, field by field.

A field is sent only when the spec changed it. So what was sent before is kept in the
status (`applied`), as `kubectl apply` keeps what it applied last. A difference that
somebody made in Azure is left alone, and a later edit of another field does not undo it.
A field that `applied` does not hold is compared with Azure: that is so from the moment an
edit is seen until Azure shows it, whatever became of the call.

Fields are paths in ARM's body, values are texts. What is taken out of the spec stays in
Azure, except tags, which are taken out there too.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from imageferry.api.extras import read_date
from imageferry.api.spec import Definition, Latest, TargetRegion
from imageferry.api.spec import Version as WantedVersion
from imageferry.migration.facts import GalleryDefinition, GalleryVersion

Fields = dict[str, str]

TAG = "tags."
REGION = "publishingProfile.targetRegions."
EXCLUDED = "publishingProfile.excludeFromLatest"
END_OF_LIFE = "publishingProfile.endOfLifeDate"
REPLICAS = "publishingProfile.replicaCount"
BLOCKED = "safetyProfile.blockDeletionBeforeEndOfLife"
UNPROTECTED = "safetyProfile.allowDeletionOfReplicatedLocations"
DEFINITION_END = "endOfLifeDate"
TEXTS = ("description", "releaseNoteUri")

REMOVING: Final = "(being taken out)"
"""Stands in `applied` for a tag that the spec does not have any more and Azure still has."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One field to be changed; `before` is Azure's value, `after` is None for a tag that goes."""

    field: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        return f"{self.field} from {self.before or 'nothing'} to {self.after or 'nothing'}"


def pending(
    wanted: Mapping[str, str], applied: Mapping[str, str] | None, actual: Mapping[str, str]
) -> tuple[Edit, ...]:
    """Return what the spec changed and Azure does not show yet; nothing when it is not known what was sent before."""
    if applied is None:
        return ()
    changed = [Edit(f, actual.get(f), v) for f, v in wanted.items() if v not in (applied.get(f), actual.get(f))]
    removed = [Edit(f, actual[f], None) for f in applied if _leaves(f, wanted, actual)]
    return (*changed, *removed)


def settle(wanted: Mapping[str, str], applied: Mapping[str, str] | None, actual: Mapping[str, str]) -> Fields:
    """Return what is applied, now that Azure was looked at; at first sight all is taken as it stands."""
    if applied is None:
        return dict(wanted)
    kept = {field: value for field, value in wanted.items() if value in (applied.get(field), actual.get(field))}
    return kept | {field: REMOVING for field in applied if _leaves(field, wanted, actual)}


def _leaves(field: str, wanted: Mapping[str, str], actual: Mapping[str, str]) -> bool:
    return field.startswith(TAG) and field not in wanted and field in actual


def version_wanted(spec: WantedVersion, regions: Iterable[TargetRegion], *, joined: bool) -> Fields:
    """Return what the spec says of a version; `joined`: whether it may be the latest where that waits for a person."""
    excluded = spec.latest is Latest.EXCLUDE or (spec.latest is Latest.JOIN_WHEN_VERIFIED and not joined)
    wanted = {EXCLUDED: _text(excluded), REPLICAS: str(spec.replica_count)}
    if spec.end_of_life_date:
        wanted[END_OF_LIFE] = date_text(spec.end_of_life_date)
    if spec.safety_profile:
        wanted[BLOCKED] = _text(spec.safety_profile.block_deletion_before_end_of_life)
    for region in regions:
        count = region.regional_replica_count or spec.replica_count
        wanted |= _region(region.name, count, excluded=bool(region.exclude_from_latest))
    return wanted | _tags(spec.tags)


def version_actual(version: GalleryVersion) -> Fields:
    """Return the same fields as Azure has them."""
    profile = version.publishing_profile
    actual = {EXCLUDED: _text(bool(profile.get("excludeFromLatest"))), REPLICAS: str(profile.get("replicaCount", 1))}
    if profile.get("endOfLifeDate"):
        actual[END_OF_LIFE] = date_text(profile["endOfLifeDate"])
    actual[BLOCKED] = _text(bool(version.block_deletion_before_end_of_life))
    for region in version.target_regions:
        count = region.get("regionalReplicaCount") or profile.get("replicaCount") or 1
        actual |= _region(str(region["name"]), count, excluded=bool(region.get("excludeFromLatest")))
    return actual | _tags(version.tags)


def definition_wanted(spec: Definition) -> Fields:
    """Return what the spec says of a definition and Azure lets be changed."""
    wire = spec.wire()
    wanted: Fields = {name: str(wire[name]) for name in TEXTS if name in wire}
    if spec.end_of_life_date:
        wanted[DEFINITION_END] = date_text(spec.end_of_life_date)
    return wanted | _sizes(wire) | _tags(spec.tags)


def definition_actual(definition: GalleryDefinition) -> Fields:
    """Return the same fields as Azure has them; a text that is not there is as good as an empty one."""
    properties = definition.properties
    actual: Fields = {name: str(properties.get(name) or "") for name in TEXTS}
    if properties.get("endOfLifeDate"):
        actual[DEFINITION_END] = date_text(properties["endOfLifeDate"])
    return actual | _sizes(properties) | _tags(definition.tags)


def date_text(value: str) -> str:
    """Return a date or time as UTC, to the second: ARM writes fractions and offsets of its own."""
    try:
        return f"{read_date(value).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    except ValueError:  # of Azure's; ours were checked
        return value


def _sizes(body: Mapping[str, Any]) -> Fields:
    """Return recommended ranges and disallowed disk types."""
    recommended, disallowed = body.get("recommended") or {}, body.get("disallowed") or {}
    found = {
        f"recommended.{resource}.{end}": str((recommended.get(resource) or {})[end])
        for resource in ("vCPUs", "memory")
        for end in ("min", "max")
        if (recommended.get(resource) or {}).get(end) is not None
    }
    if disallowed.get("diskTypes"):
        found["disallowed.diskTypes"] = json.dumps(sorted(disallowed["diskTypes"]))
    return found


def _region(name: str, count: int, *, excluded: bool) -> Fields:
    return {
        f"{REGION}{name}.regionalReplicaCount": str(count),
        f"{REGION}{name}.excludeFromLatest": _text(excluded),
    }


def _tags(tags: Mapping[str, str] | None) -> Fields:
    return {f"{TAG}{name}": value for name, value in (tags or {}).items()}


def _text(value: bool) -> str:  # noqa: FBT001 - it is the value
    return str(value).lower()
