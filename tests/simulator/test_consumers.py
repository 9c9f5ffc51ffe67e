"""The operator's own look at what uses the images of a subscription, through Azure's SDK, page by page."""

from collections.abc import AsyncIterator

import pytest
from azure.mgmt.compute.models import VirtualMachine

from imageferry.azure import Azure
from imageferry.migration.facts import Consumer, Consumers
from imageferry.simulator import SUBSCRIPTION, SimulatorServer
from tests import adapter
from tests.cluster.consumers import MACHINES, SCALE_SETS, machine, scale_set
from tests.manifests import image_id

WEB, DB = image_id("web"), image_id("db")


@pytest.fixture
async def operator(azure: SimulatorServer) -> AsyncIterator[Azure]:
    """Give Azure as the operator sees it."""
    async with Azure(adapter.config(azure, client="operator"), may_write=lambda: True) as made:
        yield made


async def test_scale_sets_count_by_their_model(azure: SimulatorServer, operator: Azure) -> None:
    """In any letter case, over all pages; one that is made of something else does not."""
    for number in range(120):
        azure.cloud.put(f"{SCALE_SETS}/web-{number:03}", scale_set(WEB.upper()))
    azure.cloud.put(f"{SCALE_SETS}/db", scale_set(DB))
    azure.cloud.put(f"{SCALE_SETS}/bare", {"location": "westeurope", "properties": {}})
    seen = await operator.consumers(SUBSCRIPTION)

    assert len(seen.of(WEB).found) == 120
    assert seen.of(DB) == Consumers((Consumer(f"{SCALE_SETS}/db", "VirtualMachineScaleSet"),))
    assert seen.of(image_id("other")) == Consumers()


async def test_a_machine_counts_while_it_is_being_made(azure: SimulatorServer, operator: Azure) -> None:
    """Once it is there it has disks of its own."""
    azure.cloud.put_image("web", group="legacy")
    wanted = VirtualMachine(machine(WEB))
    await operator.compute(SUBSCRIPTION).virtual_machines.begin_create_or_update("legacy", "m1", wanted, polling=False)
    making = (await operator.consumers(SUBSCRIPTION)).of(WEB)
    azure.clock.advance(3600)
    made = (await operator.consumers(SUBSCRIPTION)).of(WEB)

    assert [(each.id.casefold(), each.kind) for each in making.found] == [
        (f"{MACHINES}/m1".casefold(), "VirtualMachine")
    ]
    assert made == Consumers()


@pytest.mark.parametrize("missing", ["virtualMachines", "virtualMachineScaleSets"])
async def test_a_right_that_is_missing_is_told(azure: SimulatorServer, operator: Azure, missing: str) -> None:
    """And what the other list shows is told as well."""
    right = f"Microsoft.Compute/{missing}/read"
    azure.cloud.put(f"{SCALE_SETS}/web", scale_set(WEB))
    form = {"Actions": ["*"], "NotActions": [right]}
    azure.cloud.assign("operator", form, scope=f"/subscriptions/{SUBSCRIPTION}")
    seen = (await operator.consumers(SUBSCRIPTION)).of(WEB)

    assert seen.missing_rights == (right,)
    assert bool(seen.found) is (missing == "virtualMachines")
