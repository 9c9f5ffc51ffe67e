"""What a migration costs, counted by those who are asked: the ARM ledger and the API server's audit log."""

from tests import manifests
from tests.cluster.world import World

MOST_MUTATIONS = 3
MOST_WRITES = 8
REGION_STATES = 2
"""A region goes from Replicating to Completed; each change may be a write."""


def test_one_region_costs_three_mutations_and_eight_writes(world: World) -> None:
    """Definition, version, deletion; and a status write for each thing worth telling."""
    world.azure.cloud.put_image("cheap", group="legacy")
    world.operator.start()
    world.apply(manifests.migration("cheap"))
    world.until_phase("cheap", "AwaitingVerification")
    world.verify("cheap")
    world.until_phase("cheap", "Completed")
    assert len(world.azure.ledger.mutations()) <= MOST_MUTATIONS
    progress = [write for write in world.writes("cheap") if world.only_progress(write)]
    assert len(world.writes("cheap")) - len(progress) <= MOST_WRITES + REGION_STATES


def test_a_restart_with_all_complete_writes_nothing(world: World) -> None:
    """A new process looks once at each version and leaves everything as it is."""
    names = ["one", "two", "three"]
    world.operator.start()
    for name in names:
        world.azure.cloud.put_image(name, group="legacy")
        world.apply(manifests.migration(name))
    for name in names:
        world.until_phase(name, "AwaitingVerification")
        world.verify(name)
    for name in names:
        world.until_phase(name, "Completed")
    before = {name: world.get(name)["metadata"]["resourceVersion"] for name in names}
    world.operator.stop()
    mark = world.azure.ledger.mark()
    world.operator.start()
    world.wait(
        lambda: world.azure.ledger.count("galleryImageVersions.get", since=mark) >= len(names), what="a look at each"
    )
    world.operator.stop()
    assert world.azure.ledger.mutations(since=mark) == []
    assert {name: world.get(name)["metadata"]["resourceVersion"] for name in names} == before


def test_a_restart_while_a_person_is_awaited_writes_nothing(world: World) -> None:
    """Nothing changed meanwhile, so nothing is written; that it is seen settled begins anew, in silence."""
    world.azure.cloud.put_image("awaited", group="legacy")
    world.operator.start()
    world.apply(manifests.migration("awaited"))
    world.until_phase("awaited", "AwaitingVerification")
    before = world.get("awaited")["metadata"]["resourceVersion"]
    world.operator.stop()
    mark = world.azure.ledger.mark()
    world.operator.start()
    world.wait(lambda: world.azure.ledger.count("images.get", since=mark) >= 1, what="a whole look")
    world.operator.stop()
    assert world.get("awaited")["metadata"]["resourceVersion"] == before


def test_a_finished_migration_applied_to_an_empty_cluster_is_completed_without_a_write_to_azure(world: World) -> None:
    """The version is there, built from the image, in every region; the image is gone: nothing is left to do."""
    world.azure.cloud.put_image("moved", group="legacy")
    world.operator.start()
    world.apply(manifests.migration("moved"))
    world.until_phase("moved", "AwaitingVerification")
    world.verify("moved")
    world.until_phase("moved", "Completed")
    world.kubectl("delete", "imig", "moved")
    mark = world.azure.ledger.mark()
    world.apply(manifests.migration("moved"))
    status = world.until_phase("moved", "Completed")
    assert status["deletion"]["receipt"]["outcome"] == "AlreadyGone"
    assert world.azure.ledger.mutations(since=mark) == []


def test_an_existing_definition_and_version_are_adopted(world: World) -> None:
    """What agrees is taken as it is: no write to Azure at all."""
    cloud = world.azure.cloud
    image = cloud.put_image("there", group="legacy")
    definition = cloud.put_definition("there", gallery=manifests.gallery_id())
    cloud.put_version("1.0.0", definition=definition, source=image)
    world.operator.start()
    world.apply(manifests.migration("there", sourceDeletion={"policy": "Retain"}))
    status = world.until_phase("there", "AwaitingVerification")
    assert (status["definition"]["outcome"], status["version"]["outcome"]) == ("Adopted", "Adopted")
    world.verify("there")
    world.until_phase("there", "Completed")
    assert world.azure.ledger.mutations() == []
