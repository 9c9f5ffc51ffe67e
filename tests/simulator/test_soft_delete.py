"""Soft delete: deleted versions come back with the old bits (fact sheet, section 7)."""

import pytest

from imageferry.simulator import SimulatorServer
from tests.simulator.conftest import DEFINITION, GALLERY, IMAGE, VERSION, Arm

DELETED = f"{GALLERY}/softDeletedArtifactTypes/Images/artifacts/web/versions"
DAY = 86_400


@pytest.fixture
def deleted(azure: SimulatorServer) -> str:
    """Let a soft-deleting gallery hold a version; gives its id."""
    azure.cloud.put_image("web", group="legacy")
    gallery = azure.cloud.put_gallery("prod", group="images", soft_delete=True)
    definition = azure.cloud.put_definition("web", gallery=gallery)
    return azure.cloud.put_version("1.0.0", definition=definition, source=IMAGE, regions=("westeurope", "northeurope"))


async def delete(azure: SimulatorServer, arm: Arm, target: str = VERSION) -> None:
    """Delete and wait."""
    assert (await arm("DELETE", target)).status == 202
    azure.clock.advance(120)


async def test_a_deleted_version_is_listed_and_not_shown(azure: SimulatorServer, arm: Arm, deleted: str) -> None:
    """It is gone for GET and list, and stands in the list of soft-deleted artifacts."""
    assert (await arm("GET", DELETED)).body["value"] == []
    await delete(azure, arm)
    assert (await arm("GET", VERSION)).status == 404
    assert (await arm("GET", f"{DEFINITION}/versions")).body["value"] == []
    (kept,) = (await arm("GET", DELETED)).body["value"]
    assert (kept["name"], kept["properties"]["resourceArmId"]) == ("1.0.0", deleted)
    assert kept["properties"]["softDeletedArtifactType"] == "Images"


async def test_its_number_brings_the_old_bits_back(azure: SimulatorServer, arm: Arm, deleted: str) -> None:
    """PUT answers 200, not 201, and keeps source, date and regions whatever the body says."""
    before = (await arm("GET", deleted)).body["properties"]
    await delete(azure, arm)
    azure.cloud.put_image("other", group="legacy")
    body = {
        "location": "westeurope",
        "tags": {"again": "yes"},
        "properties": {"storageProfile": {"source": {"id": IMAGE.replace("web", "other")}}},
    }
    restored = await arm("PUT", VERSION, body)
    assert restored.status == 200
    assert restored.body["properties"]["provisioningState"] == "Updating"
    azure.clock.advance(150)
    after = (await arm("GET", VERSION)).body
    assert after["properties"] == before
    assert after["tags"] == {"again": "yes"}
    assert (await arm("GET", DELETED)).body["value"] == []


async def test_a_bypass_deletes_for_good(azure: SimulatorServer, arm: Arm, deleted: str) -> None:
    """`bypassSoftDelete=true` keeps nothing, and purges what is kept already."""
    await delete(azure, arm, f"{deleted}?bypassSoftDelete=true")
    assert (await arm("GET", DELETED)).body["value"] == []
    assert (await arm.version()).status == 201
    azure.clock.advance(600)
    await delete(azure, arm)
    assert (await arm("DELETE", VERSION)).status == 204, "already gone"
    assert len((await arm("GET", DELETED)).body["value"]) == 1
    await arm("DELETE", f"{VERSION}?bypassSoftDelete=true")
    assert (await arm("GET", DELETED)).body["value"] == []


@pytest.mark.usefixtures("deleted")
async def test_retention_ends(azure: SimulatorServer, arm: Arm) -> None:
    """After 7 days by default the number is free: the next PUT builds anew."""
    await delete(azure, arm)
    azure.clock.advance(7 * DAY - 1)
    assert len((await arm("GET", DELETED)).body["value"]) == 1
    azure.clock.advance(1)
    assert (await arm("GET", DELETED)).body["value"] == []
    assert (await arm.version()).status == 201


@pytest.mark.usefixtures("deleted")
async def test_parents_of_what_is_kept_stay(azure: SimulatorServer, arm: Arm) -> None:
    """A definition and a gallery with soft-deleted versions cannot be deleted."""
    await delete(azure, arm)
    refused = await arm("DELETE", DEFINITION)
    assert (refused.status, refused.code) == (409, "OperationNotAllowed")
    await arm("DELETE", f"{VERSION}?bypassSoftDelete=true")
    assert (await arm("DELETE", DEFINITION)).status == 202


async def test_other_galleries_keep_nothing(azure: SimulatorServer, arm: Arm, gallery: str) -> None:
    """Without the policy a deleted version is gone."""
    azure.cloud.put_version("1.0.0", definition=gallery, source=IMAGE)
    await delete(azure, arm)
    assert (await arm("GET", DELETED)).body["value"] == []
    assert (await arm.version()).status == 201


async def test_the_policy_is_switched_by_an_update(azure: SimulatorServer, arm: Arm, gallery: str) -> None:
    """PATCH of the gallery turns it on; its days are checked."""
    on = {"properties": {"softDeletePolicy": {"isSoftDeleteEnabled": True, "retentionPeriodInDays": 2}}}
    assert (await arm("PATCH", GALLERY, on)).status == 200
    azure.clock.advance(1)
    bad = {"properties": {"softDeletePolicy": {"isSoftDeleteEnabled": True, "retentionPeriodInDays": 1000}}}
    assert (await arm("PATCH", GALLERY, bad)).code == "InvalidParameter"
    azure.cloud.put_version("1.0.0", definition=gallery, source=IMAGE)
    await delete(azure, arm)
    azure.clock.advance(2 * DAY)
    assert (await arm("GET", DELETED)).body["value"] == []
