"""What a subscription tells about itself (fact sheet, sections 3.3, 3.7 and 5.3)."""

from dataclasses import replace

import pytest
from azure.mgmt.compute.aio import ComputeManagementClient

from imageferry.simulator import SUBSCRIPTION, SimulatorServer
from tests.simulator.conftest import COMPUTE, GALLERY, IMAGE, Arm

ROOT = f"/subscriptions/{SUBSCRIPTION}"
OTHER = "11111111-1111-1111-1111-111111111111"


async def test_quotas_count_what_is_in_the_region(azure: SimulatorServer, client: ComputeManagementClient) -> None:
    """`usage.list` shows Gallery, GalleryImage and GalleryImageVersion of that region."""
    gallery = azure.cloud.put_gallery("prod", group="images")
    azure.cloud.put_definition("web", gallery=gallery)
    azure.cloud.put_gallery("north", group="images", location="northeurope")
    used = {
        each["name"]["value"]: (each["currentValue"], each["limit"])
        async for each in client.usage.list("West Europe".replace(" ", "").lower())
    }
    assert used["Gallery"] == (1, 100)
    assert used["GalleryImage"] == (1, 1000)
    assert used["GalleryImageVersion"] == (0, 10_000)


async def test_sizes_of_a_region(client: ComputeManagementClient) -> None:
    """`resource_skus.list` tells generations and architecture."""
    found = [each async for each in client.resource_skus.list(filter="location eq 'westeurope'")]
    assert {location for each in found for location in each["locations"]} == {"westeurope"}
    capabilities = {pair["name"]: pair["value"] for pair in found[0]["capabilities"]}
    assert capabilities["HyperVGenerations"] == "V1,V2"


async def test_subscriptions_and_regions(azure: SimulatorServer, arm: Arm) -> None:
    """Every subscription is listed, and its regions with both of their names."""
    azure.cloud.put_subscription(OTHER)
    listed = (await arm("GET", "/subscriptions", api="2022-12-01")).body["value"]
    assert [each["subscriptionId"] for each in listed] == [SUBSCRIPTION, OTHER]
    assert {each["tenantId"] for each in listed} == {azure.tenant}
    assert (await arm("GET", ROOT)).body["state"] == "Enabled"
    assert (await arm("GET", "/tenants")).body["value"][0]["tenantId"] == azure.tenant
    regions = (await arm("GET", f"{ROOT}/locations")).body["value"]
    assert {each["name"]: each["displayName"] for each in regions}["eastus2"] == "East US 2"
    groups = (await arm("GET", f"{ROOT}/resourcegroups")).body["value"]
    assert [each["name"] for each in groups] == ["images", "legacy"]


async def test_a_subscription_shows_only_to_who_has_rights_in_it(azure: SimulatorServer, arm: Arm) -> None:
    """The list is filtered by rights, silently."""
    azure.cloud.put_subscription(OTHER)
    azure.cloud.assign("operator", {"Actions": ["*/read"]}, scope=f"{ROOT}/resourceGroups/legacy")
    assert [each["subscriptionId"] for each in (await arm("GET", "/subscriptions")).body["value"]] == [SUBSCRIPTION]


async def test_the_provider_names_its_types(arm: Arm) -> None:
    """With the regions in which they are offered."""
    body = (await arm("GET", f"{ROOT}/{COMPUTE}")).body
    galleries = next(each for each in body["resourceTypes"] if each["resourceType"] == "galleries")
    assert "West Europe" in galleries["locations"]
    assert body["registrationState"] == "Registered"


@pytest.mark.usefixtures("gallery")
async def test_zone_redundant_storage_needs_zones(arm: Arm) -> None:
    """400 in a region without availability zones (fact sheet, sections 5.3 and 9)."""
    zoned = {"name": "westeurope", "storageAccountType": "Standard_ZRS"}
    refused = await arm.version(targetRegions=[zoned, {"name": "UK West", "storageAccountType": "Standard_ZRS"}])
    assert (refused.status, refused.code) == (400, "BadRequest")
    assert "UK West" in refused.text
    assert (await arm.version(targetRegions=[zoned, {"name": "UK West"}])).status == 201


async def test_sharing(azure: SimulatorServer, arm: Arm) -> None:
    """Groups are added and removed; a reset makes the gallery private; an empty policy shows nothing."""
    await arm("PUT", GALLERY, {"location": "westeurope", "properties": {"sharingProfile": {"permissions": "Groups"}}})
    azure.clock.advance(1)

    async def share(kind: str, *ids: str) -> object:
        body = {"operationType": kind, "groups": [{"type": "Subscriptions", "ids": list(ids)}] if ids else []}
        assert (await arm("POST", f"{GALLERY}/share", body)).status == 202
        azure.clock.advance(1)
        return (await arm("GET", f"{GALLERY}?$select=Permissions")).body["properties"]["sharingProfile"]

    assert await share("Add", "a", "b") == {
        "permissions": "Groups",
        "groups": [{"type": "Subscriptions", "ids": ["a", "b"]}],
    }
    assert await share("Remove", "a") == {
        "permissions": "Groups",
        "groups": [{"type": "Subscriptions", "ids": ["b"]}],
    }
    assert await share("Reset") == {"permissions": "Private"}
    assert (await arm("POST", f"{GALLERY}/share", {"operationType": "Add"})).code == "InvalidParameter"


async def test_a_new_resource_may_be_missing_for_a_while(azure: SimulatorServer, arm: Arm) -> None:
    """A GET can 404 right after a create (fact sheet, sections 7 and 13.9)."""
    azure.cloud.rules = replace(azure.cloud.rules, stale_create=15)
    await arm("PUT", GALLERY, {"location": "westeurope"})
    assert (await arm("GET", GALLERY)).status == 404
    azure.clock.advance(15)
    assert (await arm("GET", GALLERY)).status == 200


async def test_records_of_operations_expire(azure: SimulatorServer, arm: Arm) -> None:
    """404 on an operation URL after its record is gone: the resource tells instead (fact sheet, section 13.2)."""
    azure.cloud.put_image("web", group="legacy")
    azure.cloud.durations = replace(azure.cloud.durations, operation_kept=600)
    url = (await arm("DELETE", IMAGE)).headers["Azure-AsyncOperation"]
    azure.clock.advance(604)
    assert (await arm("GET", url)).body["status"] == "Succeeded"
    azure.clock.advance(2)
    gone = await arm("GET", url)
    assert (gone.status, gone.code) == (404, "NotFound")


@pytest.mark.usefixtures("gallery")
async def test_answers_may_hold_fields_that_no_client_knows(
    azure: SimulatorServer, arm: Arm, client: ComputeManagementClient
) -> None:
    """Newer answers add undocumented keys, which the SDK keeps (fact sheet, sections 3.5 and 13.12)."""
    assert "platformAttributes" not in (await arm.version()).body["properties"]
    azure.cloud.rules = replace(azure.cloud.rules, unknown_fields=True)
    found = await client.gallery_image_versions.get("images", "prod", "web", "1.0.0")
    assert "platformAttributes" in found["properties"]
