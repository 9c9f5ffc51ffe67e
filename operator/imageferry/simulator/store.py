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


class Store:
    """The state of the cloud."""

    def __init__(self) -> None:
        self.subscriptions: set[str] = set()
        self.groups: dict[str, Json] = {}
        self.graves: dict[str, Resource] = {}
        self._resources: dict[str, Resource] = {}
        self._collections: dict[str, dict[str, Resource]] = {}
        self._built_from: dict[str, set[str]] = {}
        self._operations: OrderedDict[str, Operation] = OrderedDict()
        self._deleting: dict[str, Operation] = {}
        self._emptied: dict[str, datetime] = {}

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
        found = [r for r in self.all() if r.path.kind == kind and r.path.subscription.casefold() == wanted]
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
        self._operations[operation.name] = operation
        if operation.kind is Kind.DELETE and operation.failure is None:
            self._deleting[resource.path.key] = operation

    def operation(self, name: str) -> Operation | None:
        """Give the operation of that name while its record is kept."""
        return self._operations.get(name.casefold())

    def settle(self, now: datetime, *, kept: float) -> None:
        """Carry out the deletions that have ended, and forget operations that ended longer ago than `kept` seconds."""
        for key in [key for key, operation in self._deleting.items() if not operation.running(now)]:
            self.remove(key, self._deleting[key].ends)
        limit = now - timedelta(seconds=kept)
        while self._operations and next(iter(self._operations.values())).ends < limit:
            self._operations.popitem(last=False)


def source_key(resource: Resource) -> str | None:
    """Give the case-folded id of what a version was built from."""
    if resource.path.kind != "galleries/images/versions":
        return None
    source = resource.properties.get("storageProfile", {}).get("source", {}).get("id")
    return source.casefold() if isinstance(source, str) else None
