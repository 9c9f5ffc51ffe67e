"""The bodies of our PUTs, in ARM's own spelling.

A definition always says its generation and security type, because newer api-versions
would choose V2 and TrustedLaunchSupported silently (fact sheet, section 2.7). A version
names its source in the first PUT only; later ones send an empty storageProfile, which
keeps it (section 3.5). ARM replaces targetRegions as a whole, so an update repeats all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imageferry.api.resource import ImageMigration
from imageferry.api.spec import Identifier, TargetRegion
from imageferry.api.spec import Version as WantedVersion
from imageferry.api.status import ActionName
from imageferry.migration import identity, regions
from imageferry.migration.definitions import GENERALIZED
from imageferry.migration.facts import Gallery, GalleryVersion, ManagedImage

Body = dict[str, Any]


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


def create_definition(migration: ImageMigration, image: ManagedImage, gallery: Gallery) -> Action:
    """Create the definition, in the gallery's region."""
    spec = migration.spec.definition
    properties: Body = {
        "osType": image.os_type,
        "osState": GENERALIZED,
        "hyperVGeneration": image.generation,
        "architecture": "x64",
        "identifier": _identifier(migration),
        "features": [{"name": "SecurityType", "value": str(spec.security_type or "Standard")}],
    }
    if spec.purchase_plan:
        properties["purchasePlan"] = spec.purchase_plan.wire()
    body = {"location": gallery.location, "properties": properties}
    return Action(ActionName.CREATE_DEFINITION, definition_id(migration), body)


def create_version(migration: ImageMigration, image: ManagedImage, *, cluster: str) -> Action:
    """Build the version from the image, in the image's region, with our tags."""
    spec = migration.spec.version
    profile: Body = {
        "targetRegions": [_region(region, spec) for region in regions.wanted(spec, image.location)],
        "replicaCount": spec.replica_count,
        "storageAccountType": str(spec.storage_account_type),
        "replicationMode": str(spec.replication_mode),
        "excludeFromLatest": False,
    }
    tags = {
        identity.MIGRATION_TAG: migration.metadata.uid,
        identity.CLUSTER_TAG: cluster,
        identity.FINGERPRINT_TAG: identity.fingerprint(image),
    }
    properties: Body = {
        "publishingProfile": profile,
        "storageProfile": {"source": {"id": migration.spec.source.managed_image_id}},
        # a stale body that lacks a region is then refused instead of removing it
        "safetyProfile": {"allowDeletionOfReplicatedLocations": False},
    }
    body = {"location": image.location, "tags": tags, "properties": properties}
    return Action(ActionName.CREATE_VERSION, version_id(migration), body)


def add_regions(migration: ImageMigration, version: GalleryVersion) -> Action:
    """Add the wanted regions that the version lacks; all that it has is kept."""
    spec = migration.spec.version
    added = [_region(region, spec) for region in regions.missing(spec, version)]
    profile = {key: value for key, value in version.publishing_profile.items() if key != "publishedDate"}
    profile["targetRegions"] = [*(dict(region) for region in version.target_regions), *added]
    safety = {"allowDeletionOfReplicatedLocations": False}
    if version.block_deletion_before_end_of_life is not None:
        safety["blockDeletionBeforeEndOfLife"] = version.block_deletion_before_end_of_life
    properties = {"publishingProfile": profile, "storageProfile": {}, "safetyProfile": safety}
    body = {"location": version.location, "tags": dict(version.tags), "properties": properties}
    return Action(ActionName.ADD_REGIONS, version_id(migration), body)


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


def _region(region: TargetRegion, version: WantedVersion) -> Body:
    return {
        "name": region.name,
        "regionalReplicaCount": region.regional_replica_count or version.replica_count,
        "storageAccountType": str(region.storage_account_type or version.storage_account_type),
        "excludeFromLatest": bool(region.exclude_from_latest),
    }
