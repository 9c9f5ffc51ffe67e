"""What in a subscription uses managed images: machines that are being made, and scale sets by their model."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from azure.core.async_paging import AsyncItemPaged
from azure.mgmt.compute.aio import ComputeManagementClient

from imageferry.migration.consumers import Snapshot
from imageferry.migration.errors import DeniedError
from imageferry.migration.facts import Consumer

MACHINES, SCALE_SETS = "VirtualMachine", "VirtualMachineScaleSet"
RIGHTS = {
    MACHINES: "Microsoft.Compute/virtualMachines/read",
    SCALE_SETS: "Microsoft.Compute/virtualMachineScaleSets/read",
}
DENIED = "AuthorizationFailed"

Json = Mapping[str, Any]


async def snapshot(client: ComputeManagementClient, answered: Callable[[], AbstractContextManager[None]]) -> Snapshot:
    """List machines and scale sets, page by page; a right that is missing is told, any other error is raised."""
    pages: dict[str, AsyncItemPaged[Any]] = {
        MACHINES: client.virtual_machines.list_all(),
        SCALE_SETS: client.virtual_machine_scale_sets.list_all(),
    }
    found: defaultdict[str, list[Consumer]] = defaultdict(list)
    missing = []
    for kind, listed in pages.items():
        try:
            with answered():
                async for image, resource in _using(kind, listed):
                    found[image.casefold()].append(Consumer(resource, kind))
        except DeniedError as error:
            if error.code != DENIED:
                raise
            missing.append(RIGHTS[kind])
    return Snapshot({image: tuple(using) for image, using in found.items()}, tuple(missing))


async def _using(kind: str, listed: AsyncItemPaged[Any]) -> AsyncIterator[tuple[str, str]]:
    """Yield the id of an image, and that of what needs it."""
    async for item in listed:
        properties = _part(item, "properties")
        model = properties if kind == MACHINES else _part(properties, "virtualMachineProfile")
        image = _part(_part(model, "storageProfile"), "imageReference").get("id")
        being_made = str(properties.get("provisioningState", "")).casefold() == "creating"
        if image and (being_made or kind == SCALE_SETS):
            yield str(image), str(item["id"])


def _part(body: Json, name: str) -> Json:
    return body.get(name) or {}
