"""What is found around a migration before the first write: places, quotas, locks, keys, plans, deleted versions.

Limits are Azure's (fact sheet, sections 3.7, 3.8, 4.3, 4.4, 5.1, 5.3, 5.4 and 7). What could not be
looked at is a note that names the right; only deleted versions that cannot be listed block, because
a number that belongs to one brings its old bits back, and an image might go for a version that is not it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from imageferry.api.resource import ImageMigration
from imageferry.api.spec import DeletionPolicy, PurchasePlan, StorageAccountType
from imageferry.migration import definitions, inquiry, regions, requests
from imageferry.migration.facts import (
    MISSING,
    Facts,
    Found,
    Gallery,
    GalleryDefinition,
    ManagedImage,
    Plan,
    Quota,
    Reading,
    Surroundings,
    Unreadable,
    value_of,
)
from imageferry.migration.identity import same_id
from imageferry.migration.preflight import Finding, blocks, notes, warns

BUILDING = frozenset({"Creating", "Updating"})
QUOTAS = {"Gallery": "galleries", "GalleryImage": "image definitions", "GalleryImageVersion": "image versions"}
RIGHTS = {
    "regions": "Microsoft.Resources/subscriptions/locations/read",
    "offered": "Microsoft.Resources/subscriptions/providers/read",
    "quotas": "Microsoft.Compute/locations/usages/read",
    "locks": "Microsoft.Authorization/locks/read",
    "encryption_sets": "Microsoft.Compute/diskEncryptionSets/read",
    "machine": "Microsoft.Compute/virtualMachines/read",
    "versions": "Microsoft.Compute/galleries/images/versions/read",
}
"""What it takes to look at each."""


def examine(migration: ImageMigration, image: ManagedImage, facts: Facts) -> tuple[Finding, ...]:
    """Return what is found around; nothing while nothing was looked at."""
    around = value_of(facts.surroundings)
    if around is None:
        return ()
    definition, gallery = value_of(facts.definition), value_of(facts.gallery)
    return (
        *_soft_deleted(migration, around),
        *_locks(migration, around),
        *_regions(migration, image, gallery, around),
        *_quotas(migration, image, facts, around),
        *_encryption_sets(migration, around),
        *_plans(migration, image, definition, around),
        *_busy(image, around),
        *_unreadable(migration, image, around),
    )


def purchase_plan(migration: ImageMigration, facts: Facts) -> PurchasePlan | None:
    """Return the plan of a definition to be created: the one that is given, else that of the captured machine."""
    around = value_of(facts.surroundings)
    read = value_of(around.machine) if around else None
    given = migration.spec.definition.purchase_plan
    return given or (PurchasePlan(name=read[0], publisher=read[1], product=read[2]) if read else None)


def busy(found: tuple[Finding, ...]) -> Finding | None:
    """Return the finding that has to be waited for."""
    return next((each for each in found if each.reason == "SourceBusy"), None)


def _soft_deleted(migration: ImageMigration, around: Surroundings) -> Iterator[Finding]:
    name, version = migration.spec.version.name, requests.version_id(migration)
    if name in (value_of(around.soft_deleted) or ()):
        yield blocks(
            "VersionSoftDeleted",
            f"spec.version.name: version {name} was deleted, and the gallery keeps deleted versions: a build under "
            f"this number would bring the old bits back. Purge it (DELETE {version}?bypassSoftDelete=true), or name "
            "another version in a new ImageMigration",
        )
    if isinstance(around.soft_deleted, Unreadable):
        yield blocks(
            "SoftDeletedUnknown",
            "spec.gallery.id: the gallery keeps deleted versions, and whether one of the number "
            f"{name} is among them cannot be read ({around.soft_deleted.code}): a build might bring old bits back; "
            "give the operator's identity Microsoft.Compute/galleries/*/read on the gallery (docs/azure.md)",
        )


def _locks(migration: ImageMigration, around: Surroundings) -> Iterator[Finding]:
    spec, version = migration.spec, requests.version_id(migration)
    held = {lock for locks in around.locks.values() for lock in value_of(locks) or ()}
    for lock in sorted(held, key=lambda lock: (lock.scope.casefold(), lock.name)):
        scope = lock.scope.casefold()
        if lock.level == "ReadOnly" and _covers(scope, version):
            yield blocks(
                "GalleryLocked",
                f"spec.gallery.id: the lock {lock.name} on {lock.scope} is ReadOnly and stops every write to the "
                "gallery; remove it in Azure",
            )
        if spec.source_deletion.policy is DeletionPolicy.DELETE and _covers(scope, spec.source.managed_image_id):
            yield warns(
                "SourceLocked",
                f"spec.source.managedImageId: the lock {lock.name} on {lock.scope} will stop the deletion of the "
                "image; remove it before the end, or set spec.sourceDeletion.policy to Retain",
            )


def _covers(scope: str, resource: str) -> bool:
    return f"{resource.casefold()}/".startswith(f"{scope}/")


def _regions(
    migration: ImageMigration, image: ManagedImage, gallery: Gallery | None, around: Surroundings
) -> Iterator[Finding]:
    subscription, spec = inquiry.subscription_of(migration.spec.gallery.id), migration.spec
    enabled, offered = value_of(around.regions), value_of(around.offered)
    wanted = {each.name: "spec.version.targetRegions" for each in regions.wanted(spec.version, image.location)}
    if gallery is None and spec.gallery.create:
        wanted.setdefault(spec.gallery.create.location, "spec.gallery.create.location")
    for name, field in wanted.items():
        if enabled and name not in enabled:
            yield blocks(
                "RegionNotEnabled",
                f"{field}: {name} is no region of subscription {subscription}; correct the name, have the region "
                "enabled for the subscription, or take it out",
            )
        elif offered and name not in offered:
            yield blocks("RegionNotOffered", f"{field}: Azure has no gallery images in {name}; use another region")
    if enabled and any(enabled.values()):
        yield from _zones(migration, image, enabled)


def _zones(migration: ImageMigration, image: ManagedImage, enabled: Mapping[str, bool]) -> Iterator[Finding]:
    version = migration.spec.version
    for region in regions.wanted(version, image.location):
        storage = region.storage_account_type or version.storage_account_type
        if storage is StorageAccountType.STANDARD_ZRS and enabled.get(region.name) is False:
            yield blocks(
                "ZonesMissing",
                f"spec.version.targetRegions: {region.name} has no availability zones, which {storage} needs; take the "
                "region out, and list it anew with storageAccountType Standard_LRS",
            )


def _quotas(migration: ImageMigration, image: ManagedImage, facts: Facts, around: Surroundings) -> Iterator[Finding]:
    gallery, creation = value_of(facts.gallery), migration.spec.gallery.create
    home = gallery.location if gallery else creation.location if creation else image.location
    created = [("GalleryImageVersion", image.location, "spec.version")]
    if value_of(facts.definition) is None:
        created.append(("GalleryImage", home, "spec.definition"))
    if gallery is None:
        created.append(("Gallery", home, "spec.gallery"))
    for name, region, field in created:
        quota = _quota(around, region, name)
        if quota and quota.used >= quota.limit:
            subscription = inquiry.subscription_of(migration.spec.gallery.id)
            yield blocks(
                "QuotaUsedUp",
                f"{field}: all {quota.limit} {QUOTAS[name]} that subscription {subscription} may have in {region} are "
                "there; delete some, or ask Azure for more",
            )


def _quota(around: Surroundings, region: str, name: str) -> Quota | None:
    told = around.quotas.get(region)
    known = value_of(told) if told is not None else None
    return known.get(name) if known else None


def _encryption_sets(migration: ImageMigration, around: Surroundings) -> Iterator[Finding]:
    for region in migration.spec.version.target_regions or ():
        for resource in dict.fromkeys(regions.encryption_sets(region)):
            seen = next((each for key, each in around.encryption_sets.items() if same_id(key, resource)), None)
            field = f"spec.version.targetRegions: {region.name}"
            if seen is MISSING:
                yield blocks(
                    "EncryptionSetMissing",
                    f"{field}: there is no disk encryption set {resource}; create it, or use a new ImageMigration",
                )
            elif isinstance(seen, Found) and seen.value != region.name:
                yield blocks(
                    "EncryptionSetMisplaced",
                    f"{field}: the disk encryption set {resource} is in {seen.value}; take the region out, and list it "
                    f"anew with one in {region.name}",
                )


def _plans(
    migration: ImageMigration, image: ManagedImage, definition: GalleryDefinition | None, around: Surroundings
) -> Iterator[Finding]:
    given, machine = migration.spec.definition.purchase_plan, image.source_virtual_machine
    read = value_of(around.machine)
    if read is None:
        unknown = around.machine is MISSING or isinstance(around.machine, Unreadable)
        known = given or (definition and definition.purchase_plan)
        if unknown and not known:
            yield notes(
                "PurchasePlanUnknown",
                f"spec.definition.purchasePlan: the image was captured from {machine}, which is gone or cannot be "
                "read; if that came from the Marketplace with a plan, give it here before the definition is created",
            )
        return
    if given and (wrong := definitions.plan_differences(read, (given.name, given.publisher, given.product))):
        yield blocks(
            "PurchasePlanContradictsSource",
            f"spec.definition: {_told(wrong)}, as the captured machine {machine} has it; correct the field, or leave "
            "it out",
        )
    elif definition and (wrong := definitions.plan_differences(read, definition.purchase_plan)):
        yield blocks(
            "PurchasePlanMismatch",
            f"spec.definition.name: the definition {migration.spec.definition.name} exists, and the captured machine "
            f"{machine} came from the Marketplace: {_told(wrong)}. A plan cannot be changed in Azure: name another "
            "definition in a new ImageMigration, or delete this one",
        )
    elif not given and not definition:
        yield notes("PurchasePlanRead", f"spec.definition.purchasePlan: {_plan(read)} is read from {machine}")


def _plan(plan: Plan) -> str:
    return f"name {plan[0]}, publisher {plan[1]}, product {plan[2]}"


def _told(wrong: list[definitions.Difference]) -> str:
    return "; ".join(str(difference) for difference in wrong)


def _busy(image: ManagedImage, around: Surroundings) -> Iterator[Finding]:
    for version in value_of(around.versions) or ():
        if version.provisioning_state in BUILDING and same_id(version.source_id, image.id):
            yield warns(
                "SourceBusy",
                f"spec.source.managedImageId: the image feeds version {version.name} of the same definition, which is "
                f"{version.provisioning_state}; Azure builds one version of an image at a time",
            )


def _unreadable(migration: ImageMigration, image: ManagedImage, around: Surroundings) -> Iterator[Finding]:
    subscription = f"/subscriptions/{inquiry.subscription_of(migration.spec.gallery.id)}"
    readings: dict[str, dict[str, Reading[Any]]] = {
        "regions": {subscription: around.regions},
        "offered": {subscription: around.offered},
        "quotas": {f"{subscription} ({region})": each for region, each in around.quotas.items()},
        "locks": dict(around.locks),
        "encryption_sets": dict(around.encryption_sets),
        "machine": {image.source_virtual_machine or "": around.machine},
        "versions": {requests.definition_id(migration): around.versions},
    }
    for name, scopes in readings.items():
        refused = {scope: each.code for scope, each in scopes.items() if isinstance(each, Unreadable)}
        if refused:
            codes = ", ".join(dict.fromkeys(refused.values()))
            yield notes(
                "NotLookedAt",
                f"{name.replace('_', ' ')} of {', '.join(refused)} could not be looked at ({codes}); that takes "
                f"{RIGHTS[name]} (docs/azure.md)",
            )
