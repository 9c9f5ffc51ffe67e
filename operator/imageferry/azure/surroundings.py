"""The looks before the first write: subscriptions, locks, keys, the captured machine, deleted versions.

None of them may stop a migration for want of a right, so what is refused becomes a value.
Passing faults come through as everywhere else. What many migrations ask alike is shared.
Regions are read from Resource Manager, not from the list of SKUs, which has megabytes.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from azure.core.rest import HttpRequest
from azure.mgmt.compute.aio import ComputeManagementClient

from imageferry.azure import errors, ids, wire
from imageferry.azure.shared import Shared
from imageferry.migration.errors import BackOffError, DeniedError, MigrationError, UnlistedError
from imageferry.migration.facts import (
    MISSING,
    Found,
    ListedVersion,
    Lock,
    Plan,
    Quota,
    Reading,
    Surroundings,
    Unreadable,
)
from imageferry.migration.inquiry import Inquiry
from imageferry.migration.regions import short_name

T = TypeVar("T")

SUBSCRIPTIONS, PROVIDERS, LOCKS = "2022-12-01", "2021-04-01", "2016-09-01"
"""API versions of Resource Manager's own calls."""
PUBLISHED = "galleries/images/versions"
LOCK = "/providers/microsoft.authorization/locks/"


class Surveyor:
    """Asks; `answered` translates errors, as it does for all of Azure's calls."""

    def __init__(
        self,
        compute: Callable[[str], ComputeManagementClient],
        answered: Callable[[], AbstractContextManager[None]],
        shared: Shared,
    ) -> None:
        self._compute = compute
        self._answered = answered
        self._shared = shared

    async def look(self, asked: Inquiry) -> Surroundings:
        """Ask what is to be asked; MigrationError for passing faults alone."""
        where, found = asked.subscription, dict[str, Any]()
        if asked.regions:
            found["regions"] = await self._once(("regions", where), lambda: self._regions(where))
            found["offered"] = await self._once(("offered", where), lambda: self._offered(where))
        if asked.machine:
            found["machine"] = await self._reading(self._machine(asked.machine))
        if asked.soft_deleted:
            found["soft_deleted"] = await self._reading(self._soft_deleted(asked.soft_deleted))
        if asked.versions:
            found["versions"] = await self._reading(self._versions(asked.versions))
        return Surroundings(
            quotas={each: await self._quotas_of(where, each) for each in asked.quotas},
            locks={each: await self._locks_of(each) for each in asked.locks},
            encryption_sets={each: await self._encryption_set_of(each) for each in asked.encryption_sets},
            **found,
        )

    async def _quotas_of(self, subscription: str, region: str) -> Reading[Mapping[str, Quota]]:
        return await self._once(("quotas", subscription, region), lambda: self._quotas(subscription, region))

    async def _locks_of(self, group: str) -> Reading[tuple[Lock, ...]]:
        """Ask the subscription, whose list has the locks of all its groups; with rights in groups alone, the group."""
        subscription = "/".join(group.split("/")[:3])
        everywhere = await self._once(("locks", subscription), lambda: self._locks(subscription))
        if isinstance(everywhere, Found):
            return everywhere
        return await self._once(("locks", group), lambda: self._locks(group))

    async def _encryption_set_of(self, resource: str) -> Reading[str]:
        return await self._once(("key", resource), lambda: self._encryption_set(resource))

    async def _once(self, key: tuple[str, ...], ask: Callable[[], Awaitable[T]]) -> Reading[T]:
        folded = tuple(part.casefold() for part in key)
        return await self._shared.get(folded, lambda: self._reading(ask()))

    async def _reading(self, asking: Awaitable[T]) -> Reading[T]:
        try:
            with self._answered():
                return Found(await asking)
        except MigrationError as error:
            passing = isinstance(error, BackOffError) and not isinstance(error, DeniedError | UnlistedError)
            if passing:
                raise
            return MISSING if error.code in errors.GONE else Unreadable(error.code)
        except (KeyError, TypeError, ValueError, AttributeError):
            return Unreadable("UnreadableAnswer")

    async def _regions(self, subscription: str) -> Mapping[str, bool]:
        path = f"/subscriptions/{subscription}/locations?api-version={SUBSCRIPTIONS}"
        listed = [each async for each in self._values(subscription, path)]
        physical = [each for each in listed if (each.get("metadata") or {}).get("regionType", "Physical") == "Physical"]
        return {short_name(each["name"]): bool(each.get("availabilityZoneMappings")) for each in physical}

    async def _offered(self, subscription: str) -> frozenset[str]:
        path = f"/subscriptions/{subscription}/providers/Microsoft.Compute?api-version={PROVIDERS}"
        body = await self._body(subscription, path)
        kinds = [each for each in body["resourceTypes"] if each["resourceType"].casefold() == PUBLISHED]
        return frozenset(short_name(name) for each in kinds for name in each.get("locations") or ())

    async def _quotas(self, subscription: str, region: str) -> Mapping[str, Quota]:
        listed = [each.as_dict() async for each in self._compute(subscription).usage.list(region)]
        return {each["name"]["value"]: Quota(int(each["currentValue"]), int(each["limit"])) for each in listed}

    async def _locks(self, scope: str) -> tuple[Lock, ...]:
        path = f"{scope}/providers/Microsoft.Authorization/locks?api-version={LOCKS}"
        listed = [each async for each in self._values(scope.split("/")[2], path)]
        return tuple(Lock(each["name"], _scope(each["id"]), each["properties"]["level"]) for each in listed)

    async def _encryption_set(self, resource: str) -> str:
        at = ids.parse(resource)
        found = await self._compute(at.subscription).disk_encryption_sets.get(at.group, *at.names)
        return short_name(found.as_dict()["location"])

    async def _machine(self, resource: str) -> Plan | None:
        at = ids.parse(resource)
        found = await self._compute(at.subscription).virtual_machines.get(at.group, *at.names)
        return wire.plan(found.as_dict().get("plan"))

    async def _soft_deleted(self, definition: str) -> frozenset[str]:
        at = ids.parse(definition)
        gallery, name = at.names
        operations = self._compute(at.subscription).soft_deleted_resource
        listed = operations.list_by_artifact_name(at.group, gallery, "Images", name)
        return frozenset([each.as_dict()["name"] async for each in listed])

    async def _versions(self, definition: str) -> tuple[ListedVersion, ...]:
        """List the first page: there may be thousands, and a build under way is seldom among old ones."""
        at = ids.parse(definition)
        pages = self._compute(at.subscription).gallery_image_versions.list_by_gallery_image(at.group, *at.names)
        async for page in pages.by_page():
            return tuple([wire.listed_version(each.as_dict()) async for each in page])
        return ()

    async def _values(self, subscription: str, path: str) -> AsyncIterator[wire.Json]:
        while path:
            body = await self._body(subscription, path)
            for each in body.get("value") or ():
                yield each
            path = body.get("nextLink") or ""

    async def _body(self, subscription: str, path: str) -> wire.Json:
        """Send one GET of Resource Manager's own; the pipeline is the one of all calls."""
        response = await self._compute(subscription).send_request(HttpRequest("GET", path))
        response.raise_for_status()
        body: wire.Json = response.json()
        return body


def _scope(lock: str) -> str:
    return lock[: lock.casefold().rindex(LOCK)]
