"""The bodies of our PUTs, in ARM's own spelling.

A definition always says its generation and security type, because newer api-versions
would choose V2 and TrustedLaunchSupported silently (fact sheet, section 2.7). A version
names its source in the first PUT only; later ones send an empty storageProfile, which
keeps it (section 3.5). ARM replaces targetRegions as a whole, so an update repeats all.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from imageferry.api.extras import GalleryCreation
from imageferry.api.resource import ImageMigration
from imageferry.api.spec import Identifier, Latest, PurchasePlan, TargetRegion
from imageferry.api.spec import Version as WantedVersion
from imageferry.api.status import ActionName
from imageferry.migration import edits, identity, regions
from imageferry.migration.definitions import GENERALIZED
from imageferry.migration.edits import Edit
from imageferry.migration.facts import Gallery, GalleryDefinition, GalleryVersion, ManagedImage, What

Body = dict[str, Any]

MOST_TAGS, LONGEST_TAG = 50, 256
"""Limits of ARM: tags of a resource, and characters of a tag's value."""

_AS_GIVEN = (
    "description", "releaseNoteUri", "recommended", "disallowed", "eula", "privacyStatementUri",
)  # fmt: skip

FIELDS: dict[ActionName, str] = {
    ActionName.CREATE_GALLERY: "spec.gallery.create",
    ActionName.CREATE_DEFINITION: "spec.definition",
    ActionName.UPDATE_DEFINITION: "spec.definition",
    ActionName.CREATE_VERSION: "spec.version",
    ActionName.UPDATE_VERSION: "spec.version",
    ActionName.REMOVE_REGIONS: "spec.version.targetRegions",
    ActionName.DELETE_VERSION: "spec.version.name",
    ActionName.DELETE_IMAGE: "spec.source.managedImageId",
}
"""The part of the spec that a body is made of."""
LOOKS: dict[What, str] = {
    What.IMAGE: "spec.source.managedImageId",
    What.GALLERY: "spec.gallery.id",
    What.DEFINITION: "spec.definition.name",
    What.VERSION: "spec.version.name",
}
"""The field that names what is looked at in Azure; what none names is not here."""


@dataclass(frozen=True, slots=True)
class Action:
    """One mutation in Azure; `body` is None for a DELETE."""

    name: ActionName
    resource: str
    body: Mapping[str, Any] | None = None


def definition_id(migration: ImageMigration) -> str:
    """Return the ARM id of the definition."""
    spec = migration.spec
    return f"{spec.gallery.id}/images/{spec.definition.name}"


def version_id(migration: ImageMigration) -> str:
    """Return the ARM id of the version."""
    return f"{definition_id(migration)}/versions/{migration.spec.version.name}"


def create_gallery(migration: ImageMigration, creation: GalleryCreation, *, cluster: str) -> Action:
    """Create the gallery as the spec allows."""
    properties = {"description": creation.description} if creation.description else {}
    body = {
        "location": creation.location,
        "tags": {**(creation.tags or {}), **_provenance(migration, cluster)},
        "properties": properties,
    }
    return Action(ActionName.CREATE_GALLERY, migration.spec.gallery.id, body)


def create_definition(
    migration: ImageMigration, image: ManagedImage, gallery: Gallery, *, plan: PurchasePlan | None, cluster: str
) -> Action:
    """Create the definition, in the gallery's region, with the purchase plan that the image needs."""
    spec = migration.spec.definition
    wire = spec.wire()
    features = [{"name": "SecurityType", "value": str(spec.security_type or "Standard")}, *wire.get("features", [])]
    properties: Body = {
        "osType": image.os_type,
        "osState": GENERALIZED,
        "hyperVGeneration": image.generation,
        "architecture": "x64",
        "identifier": _identifier(migration),
        "features": features,
        **{name: wire[name] for name in _AS_GIVEN if wire.get(name)},
    }
    if plan:
        properties["purchasePlan"] = plan.wire()
    if spec.end_of_life_date:
        properties["endOfLifeDate"] = edits.date_text(spec.end_of_life_date)
    tags = {**(spec.tags or {}), **_provenance(migration, cluster)}
    body = {"location": gallery.location, "tags": tags, "properties": properties}
    return Action(ActionName.CREATE_DEFINITION, definition_id(migration), body)


def update_definition(
    migration: ImageMigration, definition: GalleryDefinition, changes: Iterable[Edit], *, now: datetime
) -> Action:
    """Change the fields that the spec changed; all else is sent back as it is."""
    properties = {name: value for name, value in definition.properties.items() if name != "provisioningState"}
    _drop_past(properties, now)
    for edit in changes:
        if not edit.field.startswith(edits.TAG):
            _set(properties, edit.field.split("."), _value(migration.spec.definition.wire(), edit))
    body = {"location": definition.location, "tags": _tags(definition.tags, changes), "properties": properties}
    return Action(ActionName.UPDATE_DEFINITION, definition_id(migration), body)


def create_version(migration: ImageMigration, image: ManagedImage, *, cluster: str) -> Action:
    """Build the version from the image, in the image's region, with our tags."""
    spec = migration.spec.version
    profile: Body = {
        "targetRegions": [target_region(region, spec) for region in regions.wanted(spec, image.location)],
        "replicaCount": spec.replica_count,
        "storageAccountType": str(spec.storage_account_type),
        "replicationMode": str(spec.replication_mode),
        "excludeFromLatest": spec.latest is not Latest.JOIN,
    }
    if spec.end_of_life_date:
        profile["endOfLifeDate"] = edits.date_text(spec.end_of_life_date)
    fingerprint = {identity.FINGERPRINT_TAG: identity.fingerprint(image)}
    tags = {**(spec.tags or {}), **_provenance(migration, cluster), **fingerprint}
    # a stale body that lacks a region is then refused instead of removing it
    safety = {"allowDeletionOfReplicatedLocations": False}
    if spec.safety_profile:
        safety["blockDeletionBeforeEndOfLife"] = spec.safety_profile.block_deletion_before_end_of_life
    properties: Body = {
        "publishingProfile": profile,
        "storageProfile": {"source": {"id": migration.spec.source.managed_image_id}},
        "safetyProfile": safety,
    }
    body = {"location": image.location, "tags": tags, "properties": properties}
    return Action(ActionName.CREATE_VERSION, version_id(migration), body)


def update_version(
    migration: ImageMigration, version: GalleryVersion, changes: Iterable[Edit], *, now: datetime
) -> Action:
    """Add the wanted regions that the version lacks and change what the spec changed; all else goes back as it is."""
    spec = migration.spec.version
    changed = {edit.field: edit.after for edit in changes}
    profile = {key: value for key, value in version.publishing_profile.items() if key != "publishedDate"}
    _drop_past(profile, now)
    added = [target_region(region, spec) for region in regions.missing(spec, version)]
    profile["targetRegions"] = [*(_changed_region(region, changed) for region in version.target_regions), *added]
    if edits.EXCLUDED in changed:
        profile["excludeFromLatest"] = changed[edits.EXCLUDED] == "true"
    if edits.REPLICAS in changed:
        profile["replicaCount"] = spec.replica_count
    if edits.END_OF_LIFE in changed:
        profile["endOfLifeDate"] = changed[edits.END_OF_LIFE]
    safety = _safety(version, removes=False)
    if edits.BLOCKED in changed:
        safety["blockDeletionBeforeEndOfLife"] = changed[edits.BLOCKED] == "true"
    properties = {"publishingProfile": profile, "storageProfile": {}, "safetyProfile": safety}
    tags = _tags(version.tags, changes)
    if version.tags.get(identity.MIGRATION_TAG) == migration.metadata.uid:
        tags |= _added_tag(version, tags, [str(region["name"]) for region in added])
    body = {"location": version.location, "tags": tags, "properties": properties}
    return Action(ActionName.UPDATE_VERSION, version_id(migration), body)


def remove_regions(
    migration: ImageMigration, version: GalleryVersion, names: Collection[str], *, now: datetime
) -> Action:
    """Take failed regions out of the version; all else goes back as it is.

    Azure lets a region go only while allowDeletionOfReplicatedLocations is true (fact sheet, section 6). The next
    update, which adds them again, takes that back.
    """
    profile = {key: value for key, value in version.publishing_profile.items() if key != "publishedDate"}
    _drop_past(profile, now)
    profile["targetRegions"] = [dict(region) for region in version.target_regions if region["name"] not in names]
    safety = _safety(version, removes=True)
    properties = {"publishingProfile": profile, "storageProfile": {}, "safetyProfile": safety}
    body = {"location": version.location, "tags": dict(version.tags), "properties": properties}
    return Action(ActionName.REMOVE_REGIONS, version_id(migration), body)


def delete_version(migration: ImageMigration) -> Action:
    """Delete a version whose build failed, for good even where the gallery keeps deleted ones."""
    return Action(ActionName.DELETE_VERSION, version_id(migration))


def delete_image(image: ManagedImage) -> Action:
    """Delete the managed image."""
    return Action(ActionName.DELETE_IMAGE, image.id)


def _identifier(migration: ImageMigration) -> Body:
    given = migration.spec.definition.identifier or Identifier()
    return {
        "publisher": given.publisher or migration.metadata.namespace,
        "offer": given.offer or migration.spec.definition.name[:64].rstrip("."),
        "sku": given.sku or "default",
    }


def target_region(region: TargetRegion, version: WantedVersion) -> Body:
    """Return a target region as the spec has it, with nothing left to Azure's defaults."""
    body: Body = {
        "name": region.name,
        "regionalReplicaCount": region.regional_replica_count or version.replica_count,
        "storageAccountType": str(region.storage_account_type or version.storage_account_type),
        "excludeFromLatest": bool(region.exclude_from_latest),
    }
    return body | ({"encryption": region.encryption.wire()} if region.encryption else {})


def _changed_region(region: Mapping[str, Any], changed: Mapping[str, str | None]) -> Body:
    path = f"{edits.REGION}{region['name']}"
    count, excluded = changed.get(f"{path}.regionalReplicaCount"), changed.get(f"{path}.excludeFromLatest")
    return {
        **region,
        **({"regionalReplicaCount": int(count)} if count else {}),
        **({"excludeFromLatest": excluded == "true"} if excluded else {}),
    }


def _safety(version: GalleryVersion, *, removes: bool) -> Body:
    blocks = version.block_deletion_before_end_of_life
    return {
        "allowDeletionOfReplicatedLocations": removes,
        **({} if blocks is None else {"blockDeletionBeforeEndOfLife": blocks}),
    }


def _added_tag(version: GalleryVersion, tags: Mapping[str, str], added: Iterable[str]) -> Body:
    """Return the tag that tells which regions this migration added; empty where Azure has no room for it.

    A region that is Completed leaves it: it is never repaired by removing it.
    """
    if identity.ADDED_TAG not in tags and len(tags) >= MOST_TAGS:
        return {}
    lagging = regions.added(version) - {
        name for name, each in version.replication.items() if each.state == regions.COMPLETED
    }
    names = sorted((lagging & version.region_names) | set(added))
    while len(text := ",".join(names)) > LONGEST_TAG:
        names.pop()
    return {identity.ADDED_TAG: text} if text or identity.ADDED_TAG in tags else {}


def _tags(present: Mapping[str, str], changes: Iterable[Edit]) -> Body:
    """Return the tags with those of the spec changed or taken out; foreign ones stay."""
    changed = {edit.field.removeprefix(edits.TAG): edit.after for edit in changes if edit.field.startswith(edits.TAG)}
    return {name: value for name, value in {**present, **changed}.items() if value is not None}


def _provenance(migration: ImageMigration, cluster: str) -> dict[str, str]:
    return {identity.MIGRATION_TAG: migration.metadata.uid, identity.CLUSTER_TAG: cluster}


def _value(wire: Mapping[str, Any], edit: Edit) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of an edited field of a definition as ARM takes it."""
    if edit.field == edits.DEFINITION_END:
        return edit.after
    value: Any = wire
    for name in edit.field.split("."):
        value = value[name]
    return value


def _set(body: Body, path: list[str], value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Set one field; what else there is in the objects around it stays."""
    *outer, last = path
    for name in outer:
        body[name] = dict(body.get(name) or {})
        body = body[name]
    body[last] = value


def _drop_past(body: Body, now: datetime) -> None:
    """Leave out an end of life that has passed: Azure refuses a PUT that carries one (fact sheet, section 9)."""
    end = body.get("endOfLifeDate")
    if end and edits.date_text(str(end)) <= f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}":
        del body["endOfLifeDate"]
