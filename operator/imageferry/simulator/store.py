"""What exists: subscriptions, groups, resources and operations, with the indexes that keep thousands of them quick.

Not thread-safe: `Cloud` holds the lock. Deletions that have ended are carried out by `settle`, which every use begins
with, so nobody sees a resource whose delete is over.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from imageferry.simulator.operations import Kind, Operation
from imageferry.simulator.paths import ArmPath
from imageferry.simulator.replicas import Replica
from imageferry.simulator.wire import Json


@dataclass(slots=True)
class Resource:
    """A resource as stored: `body` has no provisioningState and no fields that depend on time or api-version.

    `built` is when its creation ended well; None when it failed. Disk sizes show only from then on.
    """

    path: ArmPath
    body: Json
    built: datetime | None = None
    operation: Operation | None = None
    replicas: dict[str, Replica] = field(default_factory=dict)
    running_command: str = ""
    """Name of the operation of the latest run command of a machine."""

    @property
    def properties(self) -> Json:
        """The stored properties."""
        found: Json = self.body["properties"]
        return found

    def state(self, now: datetime) -> str:
        """ProvisioningState at that instant."""
        return self.operation.state(now) if self.operation else "Succeeded"

    def is_built(self, now: datetime) -> bool:
        """Whether its creation ended well by then."""
        return self.built is not None and self.built <= now

    def busy(self, now: datetime) -> bool:
        """Whether an operation on it is under way."""
        return self.operation is not None and self.operation.running(now)


@dataclass(frozen=True, slots=True)
class SoftDeleted:
    """A version that can be restored until `ends`."""

    resource: Resource
    deleted: datetime
    ends: datetime


class Store:
    """The state of the cloud."""

    def __init__(self) -> None:
        self.tenant = ""
        self.subscriptions: set[str] = set()
        self.groups: dict[str, Json] = {}
        self.graves: dict[str, Resource] = {}
        self._resources: dict[str, Resource] = {}
        self._collections: dict[str, dict[str, Resource]] = {}
        self._built_from: dict[str, set[str]] = {}
        self._operations: OrderedDict[str, Operation] = OrderedDict()
        self._deleting: dict[str, Operation] = {}
        self._emptied: dict[str, datetime] = {}
        self._kinds: dict[str, dict[str, Resource]] = {}
        self._soft_deleted: dict[str, SoftDeleted] = {}
        self._retained: dict[str, float] = {}
        self._registered: dict[tuple[str, str], datetime | None] = {}

    def find(self, key: str) -> Resource | None:
        """Give the resource of that case-folded id."""
        return self._resources.get(key)

    def all(self) -> Iterator[Resource]:
        """Give every resource."""
        return iter(self._resources.values())

    def collection(self, key: str) -> list[Resource]:
        """Give the resources of one list, in the order of their ids."""
        found = self._collections.get(key, {})
        return [found[each] for each in sorted(found)]

    def of_kind(self, subscription: str, kind: str) -> list[Resource]:
        """Give the resources of one kind in a subscription, in the order of their ids."""
        wanted = subscription.casefold()
        found = [r for r in self._kinds.get(kind, {}).values() if r.path.subscription.casefold() == wanted]
        return sorted(found, key=lambda resource: resource.path.key)

    def children(self, path: ArmPath) -> list[Resource]:
        """Give the resources nested directly in this one."""
        nested = {"galleries": "images", "galleries/images": "versions"}.get(path.kind)
        return self.collection(f"{path.key}/{nested}") if nested else []

    def emptied(self, path: ArmPath) -> datetime | None:
        """Say when a child of this resource was last deleted."""
        return self._emptied.get(path.key)

    def add(self, resource: Resource) -> None:
        """Put a resource in the place of any other of its id."""
        key = resource.path.key
        if (before := self._resources.get(key)) and (source := source_key(before)):
            self._built_from[source].discard(key)
        self._resources[key] = resource
        self._kinds.setdefault(resource.path.kind, {})[key] = resource
        self._soft_deleted.pop(key, None)
        self._collections.setdefault(resource.path.collection_key, {})[key] = resource
        self.graves.pop(key, None)
        self._deleting.pop(key, None)
        if source := source_key(resource):
            self._built_from.setdefault(source, set()).add(key)

    def remove(self, key: str, at: datetime) -> Resource | None:
        """Take a resource out at once; its last shape stays as a grave."""
        resource = self._resources.pop(key, None)
        if resource is None:
            return None
        self._collections[resource.path.collection_key].pop(key, None)
        self._kinds[resource.path.kind].pop(key, None)
        self._deleting.pop(key, None)
        self.graves[key] = resource
        if source := source_key(resource):
            self._built_from.get(source, set()).discard(key)
        if parent := resource.path.parent:
            self._emptied[parent.key] = at
        return resource

    def built_from(self, key: str) -> list[Resource]:
        """Give the versions whose source is the resource of that case-folded id."""
        return [self._resources[version] for version in sorted(self._built_from.get(key, ()))]

    def start(self, resource: Resource, operation: Operation) -> None:
        """Let an operation run on a resource."""
        resource.operation = operation
        self.record(operation)
        if operation.kind is Kind.DELETE and operation.failure is None:
            self._deleting[resource.path.key] = operation

    def record(self, operation: Operation) -> None:
        """Let an operation be found by its name."""
        self._operations[operation.name] = operation

    def retain(self, key: str, seconds: float) -> None:
        """Let the resource be restorable for so long when its delete has ended."""
        self._retained[key] = seconds

    def soft_deleted(self, key: str) -> SoftDeleted | None:
        """Give what can be restored under that id."""
        return self._soft_deleted.get(key)

    def soft_deleted_resource(self, key: str) -> Resource | None:
        """Give a version that was deleted and can still be used by its exact name."""
        found = self._soft_deleted.get(key)
        return None if found is None else found.resource

    def soft_deleted_below(self, prefix: str) -> list[SoftDeleted]:
        """Give what can be restored below a gallery or definition."""
        return [found for key, found in sorted(self._soft_deleted.items()) if key.startswith(prefix)]

    def purge(self, key: str) -> bool:
        """End the chance to restore; gives whether there was one."""
        return self._soft_deleted.pop(key, None) is not None

    def registration(self, subscription: str, namespace: str, now: datetime) -> str:
        """Give `Registered`, `Registering` or `NotRegistered`; a provider that nobody spoke of is registered."""
        key = (subscription.casefold(), namespace.casefold())
        if key not in self._registered:
            return "Registered"
        done = self._registered[key]
        if done is None:
            return "NotRegistered"
        return "Registered" if done <= now else "Registering"

    def register(self, subscription: str, namespace: str, done: datetime | None) -> None:
        """Let a provider be registered at that instant, or not at all; one that is registered or on the way stays."""
        key = (subscription.casefold(), namespace.casefold())
        if done is None or (key in self._registered and self._registered[key] is None):
            self._registered[key] = done

    def operation(self, name: str) -> Operation | None:
        """Give the operation of that name while its record is kept."""
        return self._operations.get(name.casefold())

    def settle(self, now: datetime, *, kept: float) -> None:
        """Carry out the deletions that have ended, and forget operations that ended longer ago than `kept` seconds."""
        for key in [key for key, operation in self._deleting.items() if not operation.running(now)]:
            self._end_delete(key, self._deleting[key].ends)
        for key in [key for key, found in self._soft_deleted.items() if found.ends <= now]:
            del self._soft_deleted[key]
        limit = now - timedelta(seconds=kept)
        while self._operations and next(iter(self._operations.values())).ends < limit:
            self._operations.popitem(last=False)

    def _end_delete(self, key: str, at: datetime) -> None:
        kept = self._retained.pop(key, None)
        resource = self.remove(key, at)
        if resource is not None and kept is not None:
            resource.operation = None
            self._soft_deleted[key] = SoftDeleted(resource, at, at + timedelta(seconds=kept))


def source_key(resource: Resource) -> str | None:
    """Give the case-folded id of what a version was built from."""
    if resource.path.kind != "galleries/images/versions":
        return None
    source = resource.properties.get("storageProfile", {}).get("source", {}).get("id")
    return source.casefold() if isinstance(source, str) else None
