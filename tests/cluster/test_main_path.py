"""From apply to a deleted source, on a real API server, with the real SDK and a simulated Azure."""

from tests import manifests
from tests.cluster.world import World


def test_an_image_goes_from_apply_to_deleted(world: World) -> None:
    """Definition and version are created, all regions complete, a person verifies, the image is deleted."""
    world.azure.cloud.put_image("web", group="legacy", os_type="Windows", hyper_v_generation="V1", data_disks=(64,))
    world.operator.start()
    world.apply(manifests.migration("web", regions=["westeurope", "northeurope"]))
    status = world.until_phase("web", "AwaitingVerification")
    assert status["replication"]["summary"] == "2/2"
    world.verify("web")
    status = world.until_phase("web", "Completed")
    assert status["deletion"]["receipt"]["outcome"] == "Deleted"
    assert world.azure.cloud.get(manifests.image_id("web")) is None
    assert [entry.operation for entry in world.azure.ledger.mutations()] == [
        "galleryImages.createOrUpdate",
        "galleryImageVersions.createOrUpdate",
        "images.delete",
    ]
