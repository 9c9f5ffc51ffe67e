"""From a managed image to a version in two regions and the image's deletion, as the real SDK sees it."""

from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.mgmt.compute.aio import ComputeManagementClient

from imageferry.simulator import SimulatorServer
from tests.simulator.conftest import IMAGE, arm_error, definition_body, version_body

GALLERY_BODY: Any = {"location": "westeurope"}
TAGS: Any = {"tags": {"owner": "b"}}
TWO_REGIONS = [{"name": "westeurope"}, {"name": "northeurope"}]


async def test_an_image_moves_into_a_gallery_and_is_deleted(
    azure: SimulatorServer, client: ComputeManagementClient
) -> None:
    """Every step of the migration works with the real SDK, pollers included."""
    azure.cloud.put_image("web", group="legacy", data_disks=(10,))
    gallery = await client.galleries.begin_create_or_update("images", "prod", GALLERY_BODY)
    azure.clock.advance(1)
    assert (await gallery.result()).identifier.unique_name.endswith("-PROD")
    await client.gallery_images.begin_create_or_update("images", "prod", "web", definition_body())
    azure.clock.advance(1)
    build = await client.gallery_image_versions.begin_create_or_update(
        "images", "prod", "web", "1.0.0", version_body(targetRegions=TWO_REGIONS)
    )
    azure.clock.advance(420)
    assert (await build.result()).provisioning_state == "Succeeded"
    azure.clock.advance(600)
    version = await client.gallery_image_versions.get("images", "prod", "web", "1.0.0", expand="ReplicationStatus")
    assert version.replication_status.aggregated_state == "Completed"
    deletion = await client.images.begin_delete("legacy", "web")
    azure.clock.advance(5)
    await deletion.result()
    with pytest.raises(ResourceNotFoundError):
        await client.images.get("legacy", "web")
    assert [entry.operation for entry in azure.ledger.mutations()] == [
        "galleries.createOrUpdate",
        "galleryImages.createOrUpdate",
        "galleryImageVersions.createOrUpdate",
        "images.delete",
    ]


async def test_a_failed_operation_reaches_the_sdk_as_status_200(
    azure: SimulatorServer, client: ComputeManagementClient, gallery: str
) -> None:
    """A generation mismatch is accepted and then fails with code Conflict, whose HTTP status is 200."""
    assert gallery
    azure.cloud.put_image("web", group="legacy", hyper_v_generation="V1")
    poller = await client.gallery_image_versions.begin_create_or_update(
        "images", "prod", "web", "1.0.0", version_body()
    )
    with pytest.raises(HttpResponseError) as failed:
        await poller.result()
    assert (failed.value.status_code, arm_error(failed.value).code) == (200, "Conflict")
    assert "Hypervisor generation" in arm_error(failed.value).message


@pytest.mark.usefixtures("gallery")
async def test_a_second_writer_is_a_conflict(client: ComputeManagementClient) -> None:
    """The SDK raises its class for 409 while an operation runs on the version."""
    versions, again = client.gallery_image_versions, version_body(source=None)
    await versions.begin_create_or_update("images", "prod", "web", "1.0.0", version_body())
    with pytest.raises(ResourceExistsError) as refused:
        await versions.begin_create_or_update("images", "prod", "web", "1.0.0", again)
    assert arm_error(refused.value).code == "Conflict"


async def test_the_sdk_walks_every_page(azure: SimulatorServer, client: ComputeManagementClient) -> None:
    """A list of more than a page is followed to its end, in a group and in the subscription."""
    names = [f"web-{number:03}" for number in range(120)]
    for name in names:
        azure.cloud.put_image(name, group="legacy")
    assert [image.name async for image in client.images.list_by_resource_group("legacy")] == names
    assert [image.name async for image in client.images.list()] == names
    assert azure.ledger.count("images.list") == 6


async def test_a_change_of_tags_keeps_the_image(azure: SimulatorServer, client: ComputeManagementClient) -> None:
    """PATCH changes tags alone; when it was created stays with it."""
    azure.cloud.put_image("web", group="legacy", tags={"owner": "a"}, created_at=azure.clock.now())
    created = (azure.cloud.get(IMAGE) or {})["systemData"]
    poller = await client.images.begin_update("legacy", "web", TAGS)
    azure.clock.advance(5)
    image = await poller.result()
    assert image.tags == {"owner": "b"}
    assert (azure.cloud.get(IMAGE) or {})["systemData"] == created
    assert image.storage_profile.os_disk.disk_size_gb == 30
    assert image.id == IMAGE
