"""What to ask of a migration's surroundings, and when: before the first write, each thing once.

Every question is a call to Azure, so none is asked whose answer cannot matter: regions only where
others than the image's own are wanted, keys and machines only where there are any. That the first
write was made shows itself in Azure: what it created carries our tag. Past it one question is left,
for each build anew: whether the number belongs to a version that was deleted and would come back.
"""

from dataclasses import dataclass

from imageferry.api.resource import ImageMigration
from imageferry.api.spec import DeletionPolicy, Mode, StorageAccountType
from imageferry.api.status import ActionName
from imageferry.migration import identity, regions, requests
from imageferry.migration.facts import Facts, GalleryDefinition, ManagedImage, value_of


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What to look at; `subscription` is the gallery's, everything else is ids and names, or nothing."""

    subscription: str
    regions: bool = False
    quotas: tuple[str, ...] = ()
    """Regions, by short name."""
    locks: tuple[str, ...] = ()
    """Ids of resource groups."""
    encryption_sets: tuple[str, ...] = ()
    machine: str | None = None
    soft_deleted: str | None = None
    """Id of the definition whose deleted versions are asked for."""
    versions: str | None = None
    """Id of the definition whose versions are asked for."""

    def __bool__(self) -> bool:
        """Whether anything is asked."""
        asked = (self.regions, self.quotas, self.locks, self.encryption_sets)
        return any((*asked, self.machine, self.soft_deleted, self.versions))


def of(migration: ImageMigration, facts: Facts) -> Inquiry:
    """Return what is still to be asked, given the image, the gallery and the definition as they were seen."""
    subscription = subscription_of(migration.spec.gallery.id)
    image, gallery, definition = value_of(facts.image), value_of(facts.gallery), value_of(facts.definition)
    if image is None:
        return Inquiry(subscription)
    first = migration.spec.mode is Mode.PLAN or not any(_ours(migration, each) for each in (gallery, definition))
    fresh = definition is not None and just_created(migration, definition)
    deleted = definition is not None and gallery is not None and gallery.soft_delete and not fresh
    return Inquiry(
        subscription,
        regions=first and _beyond_home(migration, image, facts),
        quotas=_quotas(image, facts, migration) if first else (),
        locks=_groups(migration) if first else (),
        encryption_sets=_encryption_sets(migration) if first else (),
        machine=image.source_virtual_machine if first or definition is None else None,
        soft_deleted=requests.definition_id(migration) if deleted else None,
        versions=requests.definition_id(migration) if first and definition is not None else None,
    )


def just_created(migration: ImageMigration, definition: GalleryDefinition) -> bool:
    """Whether this migration has created the definition a moment ago, so that nothing can have been below it."""
    operation = migration.status.operation
    announced = operation is not None and operation.action is ActionName.CREATE_DEFINITION
    return announced and _ours(migration, definition)


def subscription_of(resource: str) -> str:
    """Return the subscription of an ARM id."""
    return resource.split("/")[2]


def group_of(resource: str) -> str:
    """Return the id of the resource group of an ARM id."""
    return "/".join(resource.split("/")[:5])


def _ours(migration: ImageMigration, resource: object) -> bool:
    tags = getattr(resource, "tags", {})
    return bool(tags.get(identity.MIGRATION_TAG) == migration.metadata.uid)


def _beyond_home(migration: ImageMigration, image: ManagedImage, facts: Facts) -> bool:
    """Whether a region is wanted that the image does not vouch for, or zones are."""
    spec = migration.spec
    creation = spec.gallery.create if value_of(facts.gallery) is None else None
    wanted = regions.wanted(spec.version, image.location)
    names = {region.name for region in wanted} | ({creation.location} if creation else set())
    zoned = any(_storage(migration, region.storage_account_type) for region in wanted)
    return zoned or names != {image.location}


def _storage(migration: ImageMigration, given: StorageAccountType | None) -> bool:
    return (given or migration.spec.version.storage_account_type) is StorageAccountType.STANDARD_ZRS


def _quotas(image: ManagedImage, facts: Facts, migration: ImageMigration) -> tuple[str, ...]:
    """Return the regions in which something is going to be created."""
    gallery, creation = value_of(facts.gallery), migration.spec.gallery.create
    home = gallery.location if gallery else creation.location if creation else image.location
    added = () if value_of(facts.definition) is not None else (home,)
    return tuple(dict.fromkeys((image.location, *added)))


def _groups(migration: ImageMigration) -> tuple[str, ...]:
    spec = migration.spec
    source = (spec.source.managed_image_id,) if spec.source_deletion.policy is DeletionPolicy.DELETE else ()
    found = {group_of(each).casefold(): group_of(each) for each in (spec.gallery.id, *source)}
    return tuple(found.values())


def _encryption_sets(migration: ImageMigration) -> tuple[str, ...]:
    """Return those in the gallery's subscription; one that is elsewhere is refused without a look."""
    found = {}
    for region in migration.spec.version.target_regions or ():
        for resource in regions.encryption_sets(region):
            if identity.same_id(subscription_of(resource), subscription_of(migration.spec.gallery.id)):
                found[resource.casefold()] = resource
    return tuple(found.values())
