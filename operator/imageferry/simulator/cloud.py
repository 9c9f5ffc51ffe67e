"""The cloud as tests hold it: look into it and change it directly, beside the API.

One lock over everything: a request's effect, a test's change and a look are each one step. Changes made here take
effect at once and leave no operation and no ledger entry.
"""

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from imageferry.simulator import provider, versions
from imageferry.simulator.governance import Assignment, Governance, Lock, Policy, Role
from imageferry.simulator.kinds import SHOWN, render
from imageferry.simulator.operations import Signer
from imageferry.simulator.paths import ArmPath, OperationPath, parse_id
from imageferry.simulator.regions import short_name
from imageferry.simulator.replicas import Replica
from imageferry.simulator.requests import ArmRequest, Outcome
from imageferry.simulator.routes import ServicePath
from imageferry.simulator.settings import Durations, Rules
from imageferry.simulator.store import Resource, Store
from imageferry.simulator.wire import Json, timestamp
from imageferry.simulator.world import World, section

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
NEWEST_API = "2026-04-01"


class Cloud:
    """The state of the simulated cloud; every method is thread-safe."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._store = Store()
        self._governance = Governance()
        self._signer = Signer()
        self.durations = Durations()
        self.rules = Rules()
        self.put_subscription(SUBSCRIPTION)

    def carry_out(self, request: ArmRequest) -> Outcome:
        """Carry out one ARM request as one step; ArmError when it is refused."""
        with self._lock:
            return provider.answer(self._world(request.api_version), self._signer, request)

    def put_subscription(self, subscription: str) -> None:
        """Let a subscription exist."""
        with self._lock:
            self._store.subscriptions.add(subscription.casefold())

    def put_group(
        self,
        name: str,
        *,
        subscription: str = SUBSCRIPTION,
        location: str = "westeurope",
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Let a resource group (and its subscription) exist; gives its id."""
        path = ArmPath(subscription, name)
        with self._lock:
            self.put_subscription(subscription)
            body = {"location": location, **({"tags": dict(tags)} if tags is not None else {})}
            self._store.groups.setdefault(path.key, provider.group_body(path, body))
        return path.id

    def put(self, resource_id: str, body: Mapping[str, Any]) -> str:
        """Let a resource exist, built and idle, with group and subscription; gives its id.

        `body` is as ARM answers it (`location`, `tags`, `properties`). A version's regions are Completed, unless
        `properties.replicationStatus.summary` says `Replicating` (from now on) or `Failed`.
        ValueError for an id of another kind.
        """
        path = parse_id(resource_id)
        with self._lock:
            self.put_group(path.group, subscription=path.subscription)
            stored = copy.deepcopy({name: value for name, value in body.items() if name in SHOWN})
            stored = {"location": "westeurope", "properties": {}} | stored
            status = stored["properties"].pop("replicationStatus", {})
            stored["properties"].pop("provisioningState", None)
            world = self._world()
            resource = Resource(path, stored, built=world.now)
            if path.kind == "galleries/images/versions":
                _complete_version(world, resource, status)
            self._store.add(resource)
        return path.id

    def region(self, path: ArmPath | OperationPath | ServicePath, body: Json | None) -> str:
        """Give the region whose limits a call meets: that of the image or gallery; empty where nothing tells it."""
        if isinstance(path, ServicePath):
            return ""
        if isinstance(path, OperationPath):
            return path.location
        top = ArmPath(path.subscription, path.group, path.types[:1], path.names[:1])
        with self._lock:
            found = self._store.find(top.key)
        asked = (body or {}).get("location") if len(path.names) == 1 else None
        return short_name(str(found.body["location"] if found else asked or ""))

    def get(self, resource_id: str, *, api_version: str = NEWEST_API) -> Json | None:
        """Give a resource as ARM would answer it, replication status included; None when there is none."""
        path = parse_id(resource_id)
        with self._lock:
            world = self._world(api_version)
            found = self._store.find(path.key)
            return (
                None if found is None else copy.deepcopy(render(world, found, found.path, expand="replicationstatus"))
            )

    def remove(self, resource_id: str) -> bool:
        """Take a resource out at once; gives whether it was there."""
        with self._lock:
            world = self._world()
            return self._store.remove(parse_id(resource_id).key, world.now) is not None

    def ids(self, kind: str = "") -> list[str]:
        """Give the ids of all resources, or of one kind (`images`, `galleries/images/versions`), sorted."""
        with self._lock:
            self._world()
            return sorted(each.path.id for each in self._store.all() if kind in ("", each.path.kind))

    def dump(self) -> Json:
        """Give everything that exists, as ARM would answer it."""
        with self._lock:
            world = self._world()
            resources = [render(world, each, each.path, expand="replicationstatus") for each in self._store.all()]
            groups = list(self._store.groups.values())
            return copy.deepcopy(
                {"subscriptions": sorted(self._store.subscriptions), "groups": groups, "resources": resources}
            )

    def fail_region(self, version_id: str, region: str, details: str = "Replication failed.") -> None:
        """Let one region of a version be Failed now; KeyError when the version has no such region."""
        self._replace_copy(version_id, region, failure=details)

    def complete_region(self, version_id: str, region: str) -> None:
        """Let one region of a version be Completed now; KeyError when the version has no such region."""
        self._replace_copy(version_id, region, failure=None)

    def put_lock(self, name: str, *, scope: str, level: str = "CanNotDelete", notes: str = "") -> str:
        """Let a lock (`CanNotDelete` or `ReadOnly`) hold on a subscription, group or resource; gives its id."""
        if level not in ("CanNotDelete", "ReadOnly"):
            raise ValueError(f"level is {level!r}: it must be CanNotDelete or ReadOnly")
        lock = Lock(name, scope, "ReadOnly" if level == "ReadOnly" else "CanNotDelete", notes)
        with self._lock:
            self._governance.locks[lock.id.casefold()] = lock
        return lock.id

    def remove_lock(self, lock_id: str) -> None:
        """Take a lock away at once, honoured no longer; KeyError when there is none."""
        with self._lock:
            del self._governance.locks[lock_id.casefold()]

    def assign(self, identity: str, role: Role | Mapping[str, Any], *, scope: str) -> None:
        """Give an identity (client id, or `*`) a role; from the first one on, all that no role allows is refused.

        `role` may be a role definition as `az role definition create` takes it. It counts after
        `rules.role_propagation` seconds.
        """
        given = role if isinstance(role, Role) else Role.read(role)
        with self._lock:
            since = self._now() + timedelta(seconds=self.rules.role_propagation)
            self._governance.assignments.append(Assignment(identity, given, scope, since))

    def revoke(self, identity: str) -> None:
        """Take all roles of an identity away at once; rights stay in force."""
        nobody = Assignment("", Role("none", ()), "/")
        with self._lock:
            present = self._governance.assignments
            self._governance.assignments = [nobody, *(each for each in present if each.identity != identity)]

    def put_policy(self, policy: Policy) -> None:
        """Let a policy deny writes from now on; one of the same name is replaced."""
        with self._lock:
            others = [each for each in self._governance.policies if each.name != policy.name]
            self._governance.policies = [*others, policy]

    def remove_policy(self, name: str) -> None:
        """End a policy."""
        with self._lock:
            self._governance.policies = [each for each in self._governance.policies if each.name != name]

    def unregister(self, subscription: str = SUBSCRIPTION, namespace: str = "Microsoft.Compute") -> None:
        """Let a subscription be without a resource provider until it is registered through the API."""
        with self._lock:
            self._store.register(subscription, namespace, None)

    @property
    def tenant(self) -> str:
        """The tenant that all subscriptions belong to."""
        return self._store.tenant

    @tenant.setter
    def tenant(self, tenant: str) -> None:
        self._store.tenant = tenant

    def put_image(  # noqa: PLR0913 -- the parts of an image that tests vary
        self,
        name: str,
        *,
        group: str,
        subscription: str = SUBSCRIPTION,
        location: str = "westeurope",
        os_type: str = "Linux",
        os_state: str = "Generalized",
        hyper_v_generation: str | None = "V2",
        size_gb: int = 30,
        data_disks: Sequence[int] = (),
        tags: Mapping[str, str] | None = None,
        source_virtual_machine: str | None = None,
        created_at: datetime | None = None,
    ) -> str:
        """Let a managed image exist; `data_disks` are sizes in GB. `hyper_v_generation` None leaves the field out."""
        image_id = ArmPath(subscription, group, ("images",), (name,)).id
        disks = f"{image_id.rpartition('/providers/')[0]}/providers/Microsoft.Compute/disks/{name}"
        common = {"caching": "ReadWrite", "storageAccountType": "Premium_LRS"}
        os_disk = {"osType": os_type, "osState": os_state, "diskSizeGB": size_gb, "managedDisk": {"id": f"{disks}-os"}}
        data = [
            {"lun": lun, "diskSizeGB": size, "managedDisk": {"id": f"{disks}-data{lun}"}, **common}
            for lun, size in enumerate(data_disks)
        ]
        properties: Json = {"storageProfile": {"osDisk": {**os_disk, **common}, "dataDisks": data}}
        if hyper_v_generation is not None:
            properties["hyperVGeneration"] = hyper_v_generation
        if source_virtual_machine is not None:
            properties["sourceVirtualMachine"] = {"id": source_virtual_machine}
        body: Json = {"location": location, "properties": properties}
        if tags is not None:
            body["tags"] = dict(tags)
        if created_at is not None:
            body["systemData"] = {"createdAt": timestamp(created_at)}
        return self.put(image_id, body)

    def put_gallery(
        self,
        name: str,
        *,
        group: str,
        subscription: str = SUBSCRIPTION,
        location: str = "westeurope",
        soft_delete: bool = False,
    ) -> str:
        """Let a gallery exist; with `soft_delete` its deleted versions can be restored. Gives its id."""
        gallery_id = ArmPath(subscription, group, ("galleries",), (name,)).id
        policy: Json = {"softDeletePolicy": {"isSoftDeleteEnabled": True}} if soft_delete else {}
        return self.put(gallery_id, {"location": location, "properties": policy})

    def put_definition(  # noqa: PLR0913 -- the parts of a definition that tests vary
        self,
        name: str,
        *,
        gallery: str,
        location: str = "westeurope",
        os_type: str = "Linux",
        os_state: str = "Generalized",
        hyper_v_generation: str = "V2",
        identifier: tuple[str, str, str] | None = None,
        security_type: str | None = "Standard",
    ) -> str:
        """Let a definition exist in the gallery of that id; `identifier` is publisher, offer, sku. Gives its id."""
        publisher, offer, sku = identifier or ("contoso", name, "default")
        properties: Json = {
            "hyperVGeneration": hyper_v_generation,
            "architecture": "x64",
            "osType": os_type,
            "osState": os_state,
            "identifier": {"publisher": publisher, "offer": offer, "sku": sku},
        }
        if security_type is not None:
            properties["features"] = [{"name": "SecurityType", "value": security_type}]
        return self.put(f"{gallery}/images/{name}", {"location": location, "properties": properties})

    def put_version(  # noqa: PLR0913 -- the parts of a version that tests vary
        self,
        name: str,
        *,
        definition: str,
        source: str | None = None,
        location: str = "westeurope",
        regions: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        published: datetime | None = None,
    ) -> str:
        """Let a version exist, Completed in `regions` (default: its location); `source` is an image's id."""
        targets = [{"name": region} for region in regions or (location,)]
        profile: Json = {"targetRegions": targets}
        if published is not None:
            profile["publishedDate"] = timestamp(published)
        properties = {"publishingProfile": profile, "storageProfile": {"source": {"id": source} if source else {}}}
        body: Json = {
            "location": location,
            "properties": properties,
            **({"tags": dict(tags)} if tags is not None else {}),
        }
        return self.put(f"{definition}/versions/{name}", body)

    def _world(self, api_version: str = NEWEST_API) -> World:
        now = self._now()
        self._store.settle(now, kept=self.durations.operation_kept)
        return World(
            store=self._store,
            now=now,
            durations=self.durations,
            rules=self.rules,
            governance=self._governance,
            api_version=api_version,
        )

    def _replace_copy(self, version_id: str, region: str, *, failure: str | None) -> None:
        with self._lock:
            world = self._world()
            version = self._store.find(parse_id(version_id).key)
            if version is None:
                raise KeyError(version_id)
            present = version.replicas[short_name(region)]
            version.replicas[present.region] = replace(present, ends=world.now, failure=failure)


def _complete_version(world: World, resource: Resource, status: Mapping[str, Any]) -> None:
    """Fill a version's defaults in and give it the copies that `status` tells of."""
    versions.fill(world, resource)
    told = {short_name(each["region"]): each for each in status.get("summary", [])}
    for target in section(resource.properties, "publishingProfile")["targetRegions"]:
        region = short_name(target["name"])
        state = told.get(region, {}).get("state", "Completed")
        failure = told[region].get("details") or "Replication failed." if state == "Failed" else None
        copied = Replica(region, world.now, world.now, failure)
        if state == "Replicating":
            lasts = world.durations.region_delay(region, home=False, order=1)
            copied = replace(copied, ends=world.now + timedelta(seconds=lasts))
        resource.replicas[region] = copied
