"""The image is gone, and an edit of the version fails in Azure: nothing that serves goes, and the cure is told.

Nothing could bring the version back, so whatever it serves has to go on serving. A region that was added and never was
Completed serves nothing: it is removed and added again a few times, and then that too is left to a person.
"""

from collections.abc import Iterator

import pytest

from imageferry.simulator import FailOperation, FailRegion, Fault
from tests import manifests
from tests.cluster import shared
from tests.cluster.shared import PUT_VERSION, state, version_id
from tests.cluster.world import World
from tests.controlplane import ControlPlane
from tests.manifests import Json, gallery_id

LATE = Fault(PUT_VERSION, FailRegion("northeurope", code="ReplicationFailed"), skip=1)
REFUSED = Fault(PUT_VERSION, FailOperation("InternalExecutionError"), skip=1)
WITH_REPAIRS = 2 + 2 * 3
"""PUTs: the build and the edit, then three times the removal of the region and its addition."""
REPAIRED = (
    "northeurope was repaired 3 times; the version goes on serving where it is Completed. Its source is gone, so do "
    "not delete it: take the region out of the version in Azure, and it is added again: `az sig image-version update "
)
HOME: Json = {"name": "westeurope", "regionalReplicaCount": 1}
EDITS = {
    "region": (LATE, [HOME, {"name": "northeurope"}]),
    "region-soft": (LATE, [HOME, {"name": "northeurope"}]),
    "replicas": (REFUSED, [{**HOME, "regionalReplicaCount": 3}]),
}


@pytest.fixture(scope="module")
def here(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give a world in which all are Completed, their images deleted, and then edited with the fault ahead."""
    with shared.running_world(deployed, tmp_path_factory.mktemp("late")) as world:
        soft = {"location": "westeurope", "properties": {"softDeletePolicy": {"isSoftDeleteEnabled": True}}}
        world.azure.cloud.put(gallery_id("soft"), soft)
        for name, (fault, _) in EDITS.items():
            world.azure.faults.add(Fault(fault.operation, fault.does, skip=1, resource=f"/images/{name}/"))
            world.azure.cloud.put_image(name, group="legacy")
            world.apply(manifest(name, [HOME]))
        world.wait(
            lambda: world.verify_what_waits() == dict.fromkeys(EDITS, "Completed"), what="all completed", within=120
        )
        for name, (_, regions) in EDITS.items():
            world.apply(manifest(name, regions))
        yield world


def manifest(name: str, regions: list[Json]) -> Json:
    """Return a migration into the gallery that its name tells."""
    gallery = {"id": gallery_id("soft" if name.endswith("soft") else "prod")}
    return manifests.migration(name, gallery=gallery, version={"targetRegions": regions})


@pytest.mark.parametrize(
    ("name", "reason", "cure", "puts"),
    [
        pytest.param("region", "RegionFailed", REPAIRED, WITH_REPAIRS, id="region"),
        pytest.param("region-soft", "RegionFailed", REPAIRED, WITH_REPAIRS, id="region-soft-delete-on"),
        pytest.param("replicas", "UpdateFailed", "set the field that you changed back", 2, id="replicas"),
    ],
)
def test_a_failed_edit_deletes_nothing_and_says_what_to_do(
    here: World, name: str, reason: str, cure: str, puts: int
) -> None:
    """The version serves where it is Completed, no DELETE is sent and no PUT too many, and the message has the cure."""

    def told(status: Json) -> bool:
        said = shared.conditions(status).get("Stalled", {})
        return said.get("reason") == reason and cure in str(said.get("message"))

    status = here.until(name, told, what=f"the cure of {name}")
    assert "do not delete it" in shared.conditions(status)["Stalled"]["message"]
    assert status["deletion"]["receipt"]["outcome"] == "Deleted"
    gallery = gallery_id("soft" if name.endswith("soft") else "prod")
    found = state(here, version_id(name).replace(gallery_id(), gallery))
    summary = found["properties"]["replicationStatus"]["summary"]
    assert [each["state"] for each in summary if each["region"] == "westeurope"] == ["Completed"]
    assert here.azure.ledger.count("galleryImageVersions.delete") == 0
    assert here.azure.ledger.count(PUT_VERSION, resource=f"/images/{name}/") == puts
    asked = [entry.body or {} for entry in here.azure.ledger.entries(PUT_VERSION, resource=f"/images/{name}/")]
    kept = [{each["name"] for each in body["properties"]["publishingProfile"]["targetRegions"]} for body in asked]
    assert all("westeurope" in names for names in kept)


def test_a_failed_increase_is_cured_by_the_spec(here: World) -> None:
    """Setting the number back is one update more, and the migration is Completed again."""
    here.until_phase("replicas", "Stalled")
    here.azure.faults.clear()
    here.apply(manifest("replicas", [HOME]))

    status = here.until_phase("replicas", "Completed")
    assert shared.conditions(status)["Ready"]["status"] == "True"
    assert here.azure.ledger.count(PUT_VERSION, resource="/images/replicas/") == 3
