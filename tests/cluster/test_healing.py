"""What heals by itself and what does not, that no protection stays off, and that nothing goes that serves.

All failures stand side by side under one operator; Azure's ledger tells what was sent.
"""

from collections.abc import Iterator

import pytest

from imageferry.simulator import Entry, FailOperation, FailRegion, Fault
from tests import manifests
from tests.cluster import shared
from tests.cluster.shared import PUT_VERSION, WEST, conditions, state
from tests.cluster.world import World
from tests.controlplane import ControlPlane
from tests.manifests import Json, gallery_id, image_id

DELETE_VERSION = "galleryImageVersions.delete"
NORTH: Json = {"name": "northeurope"}
HEALING: dict[str, Fault] = {  # a PUT that removes a region counts too, and cannot fail by it
    "build": Fault(PUT_VERSION, FailOperation(), times=1),
    "build-soft": Fault(PUT_VERSION, FailOperation(), times=1),
    "home": Fault(PUT_VERSION, FailRegion("westeurope", "no space", code="ReplicationFailed"), times=1),
    "region": Fault(PUT_VERSION, FailRegion("northeurope", "no space"), skip=1, times=1),
    "region-late": Fault(PUT_VERSION, FailRegion("northeurope", "no space", code="ReplicationFailed"), skip=1, times=3),
    "dropped": Fault(PUT_VERSION, FailRegion("northeurope", "no space"), skip=1, times=1),
}
ENDING: dict[str, Fault] = {
    "never-builds": Fault(PUT_VERSION, FailOperation()),
    "in-the-build": Fault(PUT_VERSION, FailRegion("northeurope", "no space"), times=1),
}
ADDED_LATER = ("region", "region-late", "dropped")


@pytest.fixture(scope="module")
def here(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give a world in which all of them have failed, been repaired as far as that goes, and come to rest."""
    with shared.running_world(deployed, tmp_path_factory.mktemp("healing")) as world:
        world.azure.cloud.put_gallery("soft", group="gallery", soft_delete=True)
        for name, fault in (HEALING | ENDING).items():
            world.azure.faults.add(
                Fault(fault.operation, fault.does, skip=fault.skip, times=fault.times, resource=f"/images/{name}/")
            )
            world.azure.cloud.put_image(name, group="legacy")
        first = {name: [WEST, NORTH] if name == "in-the-build" else [WEST] for name in HEALING | ENDING}
        shared.apply_all(world, [manifest(name, regions) for name, regions in first.items()])
        shared.until_phases(world, HEALING, "AwaitingVerification")
        shared.apply_all(world, [manifest(name, [WEST, NORTH]) for name in ADDED_LATER])
        world.wait(lambda: removals(world, "dropped"), what="the removal of a region that will be dropped")
        world.apply(manifest("dropped", [WEST]))
        shared.until_settled(world, ADDED_LATER, "AwaitingVerification")
        shared.until_phases(world, ENDING, "Stalled")
        yield world


def manifest(name: str, regions: list[Json]) -> Json:
    """Return a migration into the gallery that its name tells."""
    gallery = {"id": gallery_id(gallery_of(name))}
    return manifests.migration(name, gallery=gallery, version={"targetRegions": regions})


def gallery_of(name: str) -> str:
    """Return the gallery of a migration."""
    return "soft" if name.endswith("soft") else "prod"


def version(world: World, name: str) -> Json:
    """Return the version of a migration as ARM answers it."""
    return state(world, shared.version_id(name, gallery=gallery_of(name)))


def puts(world: World, name: str) -> list[Entry]:
    """Return every PUT of a version that Azure carried out."""
    return [each for each in world.azure.ledger.mutations(PUT_VERSION) if f"/images/{name}/" in each.resource_id]


def removes(entry: Entry) -> bool:
    """Whether a PUT allows regions to go."""
    return bool((entry.body or {})["properties"]["safetyProfile"]["allowDeletionOfReplicatedLocations"])


def removals(world: World, name: str) -> list[Entry]:
    """Return the PUTs that allowed regions to go."""
    return [entry for entry in puts(world, name) if removes(entry)]


def targets(entry: Entry) -> list[str]:
    """Return the regions that a PUT asks for."""
    return [each["name"] for each in (entry.body or {})["properties"]["publishingProfile"]["targetRegions"]]


def deletes(world: World, name: str) -> int:
    """Return how many deletions of a version took effect."""
    return world.azure.ledger.count(DELETE_VERSION, effect="accepted", resource=f"/images/{name}/")


@pytest.mark.parametrize("name", ["build", "build-soft", "home"])
def test_a_failed_build_is_deleted_and_built_again(here: World, name: str) -> None:
    """One deletion and one build more, from the same image; soft-deleted bits do not come back."""
    assert deletes(here, name) == 1
    assert [entry.status for entry in puts(here, name)] == [201, 201]
    assert version(here, name)["properties"]["provisioningState"] == "Succeeded"
    status = here.status(name)
    assert status["version"]["attempts"] == 2
    assert conditions(status)["Replicated"]["status"] == "True"
    assert here.azure.cloud.get(image_id(name)) is not None


@pytest.mark.parametrize(("name", "rounds"), [("region", 1), ("region-late", 2)])
def test_a_failed_region_is_removed_and_added_again(here: World, name: str, rounds: int) -> None:
    """As often as it failed; the version is never deleted, and serves at home all the time."""
    assert [targets(each) for each in puts(here, name)[1:]] == [
        ["westeurope", "northeurope"],
        *([["westeurope"], ["westeurope", "northeurope"]] * rounds),
    ]
    assert deletes(here, name) == 0
    assert conditions(here.status(name))["Replicated"]["status"] == "True"


@pytest.mark.parametrize(("name", "rounds"), [("region", 1), ("region-late", 2), ("dropped", 1)])
def test_regions_are_unprotected_for_one_put_alone(here: World, name: str, rounds: int) -> None:
    """That which removes the failed one; the next protects them again, also where the spec does not want it back."""
    assert [removes(entry) for entry in puts(here, name)] == [False, False, *([True, False] * rounds)]
    assert state(here, shared.version_id(name))["properties"]["safetyProfile"] == {
        "reportedForPolicyViolation": False,
        "allowDeletionOfReplicatedLocations": False,
    }


def test_a_build_that_always_fails_ends_with_the_budget(here: World) -> None:
    """Three builds, two deletions, and the commands for a person."""
    said = conditions(here.status("never-builds"))["Stalled"]
    assert said["reason"] == "VersionFailed"
    assert "it is not repaired: it was built 3 times" in said["message"]
    assert "bypassSoftDelete=true" in said["message"]
    assert (len(puts(here, "never-builds")), deletes(here, "never-builds")) == (3, 2)


def test_a_region_of_the_build_itself_is_left_to_a_person(here: World) -> None:
    """It was there from the beginning, and the version serves: nothing is sent, and the command is told."""
    said = conditions(here.status("in-the-build"))["Stalled"]
    assert said["reason"] == "RegionFailed"
    assert "northeurope was not added by this migration after the build" in said["message"]
    assert "--allow-replicated-location-deletion true --target-regions westeurope=1=Standard_LRS`" in said["message"]
    assert len(shared.sent(here, "in-the-build")) == 2


def test_a_persons_cure_is_carried_on(here: World) -> None:
    """What the command does in Azure is enough: the region is added again, and protected."""
    resource = shared.version_id("in-the-build")

    def take_out(body: Json) -> None:
        profile = body["properties"]["publishingProfile"]
        profile["targetRegions"] = [each for each in profile["targetRegions"] if each["name"] == "West Europe"]
        body["properties"]["safetyProfile"]["allowDeletionOfReplicatedLocations"] = True
        del body["properties"]["replicationStatus"]

    shared.change_in_azure(here, resource, take_out)
    here.until_phase("in-the-build", "AwaitingVerification")
    assert [removes(entry) for entry in puts(here, "in-the-build")] == [False, False]
    assert state(here, resource)["properties"]["safetyProfile"]["allowDeletionOfReplicatedLocations"] is False


def test_protection_that_somebody_took_away_comes_back(here: World) -> None:
    """Without a repair, in one update that changes nothing else."""
    here.until_phase("build", "AwaitingVerification")
    resource, before = shared.version_id("build"), len(puts(here, "build"))
    shared.change_in_azure(
        here,
        resource,
        lambda body: body["properties"]["safetyProfile"].update(allowDeletionOfReplicatedLocations=True),
    )
    shared.look_again(here, "build")
    shared.until_settled(here, ["build"], "AwaitingVerification")
    assert len(puts(here, "build")) == before + 1
    assert state(here, resource)["properties"]["safetyProfile"]["allowDeletionOfReplicatedLocations"] is False


def test_no_image_was_touched(here: World) -> None:
    """Whatever failed."""
    assert here.azure.ledger.mutations("images.delete") == []
