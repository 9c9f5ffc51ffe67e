"""What was seen in Azure in one pass.

A fact that was not looked at (UNSEEN) is a different value from one that was looked at
and is not there (MISSING), so that forgetting to look can never read as "absent".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

T = TypeVar("T")


class Sight(Enum):
    """A fact that holds no value."""

    MISSING = "missing"
    UNSEEN = "unseen"


MISSING: Final = Sight.MISSING
UNSEEN: Final = Sight.UNSEEN


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A fact that was looked at and is there."""

    value: T


Fact: TypeAlias = Found[T] | Literal[Sight.MISSING, Sight.UNSEEN]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that may not be looked at, or not here; `code` is Azure's."""

    code: str


Reading: TypeAlias = Fact[T] | Unreadable
"""A fact that nothing depends on: it may be out of reach."""


def value_of(fact: Reading[T]) -> T | None:
    """Return what was found; None for what is missing or was not looked at, where the two are one."""
    return fact.value if isinstance(fact, Found) else None


@dataclass(frozen=True, slots=True)
class Disk:
    """One disk of a managed image; `lun` is None for the OS disk."""

    lun: int | None
    size_gb: int | None
    origin: tuple[str, ...]
    """Ids of the managed disk, snapshot or blob that it was made from."""
    disk_encryption_set: str | None = None


@dataclass(frozen=True, slots=True)
class ManagedImage:
    """A managed image (Microsoft.Compute/images); `location` is a short name."""

    id: str
    location: str
    provisioning_state: str
    os_type: str
    os_state: str
    generation: str
    os_disk: Disk
    data_disks: tuple[Disk, ...] = ()
    source_virtual_machine: str | None = None
    created_at: str | None = None

    @property
    def disks(self) -> tuple[Disk, ...]:
        """All disks, the OS disk first."""
        return (self.os_disk, *self.data_disks)


@dataclass(frozen=True, slots=True)
class Gallery:
    """A gallery (Microsoft.Compute/galleries)."""

    id: str
    location: str
    provisioning_state: str = "Succeeded"
    tags: Mapping[str, str] = field(default_factory=dict)
    soft_delete: bool = False
    """Whether versions that are deleted can be restored for a while, and keep their numbers."""


@dataclass(frozen=True, slots=True)
class GalleryDefinition:
    """An image definition (Microsoft.Compute/galleries/images)."""

    id: str
    provisioning_state: str
    os_type: str
    os_state: str
    generation: str
    security_type: str
    architecture: str
    identifier: tuple[str, str, str]
    purchase_plan: tuple[str, str, str] | None = None
    location: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    """As ARM gave them."""


@dataclass(frozen=True, slots=True)
class RegionReplication:
    """One entry of a version's replication status; `state` is ARM's word."""

    state: str
    progress: int
    details: str = ""


@dataclass(frozen=True, slots=True)
class GalleryVersion:
    """An image version (Microsoft.Compute/galleries/images/versions), read with its replication status."""

    id: str
    location: str
    provisioning_state: str
    source_id: str
    published_date: str
    replication_mode: str = "Full"
    tags: Mapping[str, str] = field(default_factory=dict)
    target_regions: tuple[Mapping[str, Any], ...] = ()
    """As ARM gave them, but with short names."""
    publishing_profile: Mapping[str, Any] = field(default_factory=dict)
    """As ARM gave it."""
    block_deletion_before_end_of_life: bool | None = None
    allow_deletion_of_replicated_locations: bool | None = None
    built: bool = True
    """Whether it has disks, which Azure fills in once its creation has succeeded (fact sheet, section 3.5)."""
    replication: Mapping[str, RegionReplication] = field(default_factory=dict)
    """By short name."""

    @property
    def region_names(self) -> frozenset[str]:
        """Short names of its regions."""
        return frozenset(str(region["name"]) for region in self.target_regions)


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another migration of the same managed image."""

    key: str
    retains: bool
    finished: bool
    replicated: bool
    verified: bool


@dataclass(frozen=True, slots=True)
class Quota:
    """How many of a kind of resource there are in a region of a subscription, and how many there may be."""

    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock; `scope` is the id of what it holds, with all below it; `level` is ARM's word."""

    name: str
    scope: str
    level: str


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """A version as the list of its definition shows it: without its replication status."""

    name: str
    source_id: str
    provisioning_state: str


Plan: TypeAlias = tuple[str, str, str]
"""Name, publisher and product of a purchase plan."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What lies around a migration and may stop or surprise it; looked at before the first write only.

    `regions` are those of the gallery's subscription, by short name, with whether they have availability zones;
    `offered` those in which Azure has gallery image versions. `quotas` go by region and then by Azure's name, `locks`
    by resource group, `encryption_sets` (regions) by id. `machine` is the plan of the captured machine, None where it
    has none; `soft_deleted` are numbers of versions.
    """

    regions: Reading[Mapping[str, bool]] = UNSEEN
    offered: Reading[frozenset[str]] = UNSEEN
    quotas: Mapping[str, Reading[Mapping[str, Quota]]] = field(default_factory=dict)
    locks: Mapping[str, Reading[tuple[Lock, ...]]] = field(default_factory=dict)
    encryption_sets: Mapping[str, Reading[str]] = field(default_factory=dict)
    machine: Reading[Plan | None] = UNSEEN
    soft_deleted: Reading[frozenset[str]] = UNSEEN
    versions: Reading[tuple[ListedVersion, ...]] = UNSEEN


@dataclass(frozen=True, slots=True)
class Consumer:
    """Something that needs a managed image; `kind` is VirtualMachine, VirtualMachineScaleSet or ImageVersion."""

    id: str
    kind: str


@dataclass(frozen=True, slots=True)
class Consumers:
    """What needs an image, and which rights were missing to see it all."""

    found: tuple[Consumer, ...] = ()
    missing_rights: tuple[str, ...] = ()


class What(StrEnum):
    """Something to look at."""

    IMAGE = "image"
    GALLERY = "gallery"
    DEFINITION = "definition"
    VERSION = "version"
    SIBLINGS = "siblings"
    SURROUNDINGS = "surroundings"
    CONSUMERS = "consumers"


@dataclass(frozen=True, slots=True)
class Facts:
    """What has been seen in this pass so far."""

    image: Fact[ManagedImage] = UNSEEN
    gallery: Fact[Gallery] = UNSEEN
    definition: Fact[GalleryDefinition] = UNSEEN
    version: Fact[GalleryVersion] = UNSEEN
    siblings: Fact[tuple[Sibling, ...]] = UNSEEN
    surroundings: Fact[Surroundings] = UNSEEN
    consumers: Fact[Consumers] = UNSEEN

    def plus(self, what: What, answer: Fact[Any]) -> "Facts":
        """Return the facts with one answer more."""
        return replace(self, **{what.value: answer})


@dataclass(frozen=True, slots=True)
class Completion:
    """When this process first saw every wanted region of a version Completed, and the image then."""

    version_id: str
    published_date: str
    fingerprint: str
    since: datetime
    seen_unverified: bool = False
    """Whether this process has seen it without a verification."""
    verified_since: datetime | None = None
    """When this process then first saw one that counts."""
