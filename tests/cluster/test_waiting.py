"""Whoever waits for another migration asks nothing of Azure, and goes on at once when it may.

The operator runs in real time beside a fast Azure: its fallback looks are ten minutes apart,
so whoever goes on within a minute was woken. No build ends by itself.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests import manifests
from tests.cluster import shared
from tests.cluster.shared import PUT_DEFINITION, PUT_GALLERY, builds, conditions, put_images
from tests.cluster.world import World
from tests.controlplane import ControlPlane
from tests.manifests import Json, gallery_id, image_id

LONG = 36_000.0
"""Simulated seconds that a build takes: a minute, unless a test moves the clock."""


@pytest.fixture(scope="module")
def patient(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give a world whose operator runs in real time, and in which no build ends by itself."""
    folder = tmp_path_factory.mktemp("patient")
    with shared.running_world(deployed, folder) as world:
        world.operator.stop()
        world.operator = world.make_operator(folder / "patient.log", speed=1.0)
        world.azure.cloud.durations = replace(world.azure.cloud.durations, version_create=LONG)
        world.operator.start()
        yield world


def reads(world: World, name: str, *, since: int = 0) -> list[str]:
    """Return what was looked at of an image, and of the definition and version of that name."""
    found = world.azure.ledger.entries("*.get", resource=f"/images/{name}", since=since)
    return [entry.operation for entry in found]


def test_many_of_one_missing_gallery_create_it_once_and_all_go_on(patient: World) -> None:
    """Nobody waits longer than until it is there."""
    names = [f"in-new-{n}" for n in range(5)]
    put_images(patient, *names)
    create: Json = {"gallery": {"id": gallery_id("new"), "create": {"location": "westeurope"}}}
    shared.apply_all(patient, [manifests.migration(name, **create) for name in names])
    patient.wait(lambda: len(builds(patient, "/galleries/new/")) == 5, what="five versions requested")

    ledger = patient.azure.ledger
    assert [entry.effect for entry in ledger.entries(PUT_GALLERY, resource="/galleries/new")] == ["created"]
    assert ledger.entries("*.createOrUpdate", resource="/galleries/new", effect="refused") == []


def test_many_of_one_missing_definition_create_it_once_and_all_go_on(patient: World) -> None:
    """One definition, a version of each; nobody waits until the first one is replicated."""
    names = [f"defined-{n}" for n in range(5)]
    put_images(patient, *names)
    wanted = [
        manifests.migration(name, definition={"name": "defined"}, version={"name": f"1.0.{n}"})
        for n, name in enumerate(names)
    ]
    shared.apply_all(patient, wanted)
    patient.wait(lambda: len(builds(patient, "/images/defined/")) == 5, what="five versions requested")

    puts = patient.azure.ledger.entries(PUT_DEFINITION, resource="/images/defined")
    assert [entry.effect for entry in puts] == ["created"]


def test_one_that_waits_asks_nothing_and_goes_on_at_once_when_the_holder_is_deleted(patient: World) -> None:
    """No look at Azure while it waits; after the deletion of the holder it takes up the version that is being built."""
    put_images(patient, "held")
    same: Json = {"definition": {"name": "held"}}
    patient.apply(manifests.migration("holder", image=image_id("held"), **same))
    patient.until_phase("holder", "Creating")
    other: Json = {"gallery": {"id": gallery_id()}, "definition": {"name": "held-too"}}
    patient.apply(manifests.migration("waiter", image=image_id("held"), **other))
    said = conditions(patient.until_phase("waiter", "Pending"))["Ready"]
    assert said["message"].startswith(f"waiting for {patient.namespace}/holder, which builds")
    mark = patient.azure.ledger.mark()
    shared.look_again(patient, "holder")  # a write and passes of others wake nobody
    assert reads(patient, "held-too", since=mark) == []

    patient.kubectl("delete", "imig", "holder")
    patient.azure.clock.advance(LONG)
    patient.wait(lambda: builds(patient, "/images/held-too/"), what="the version of the one that waited")


def test_one_that_is_suspended_while_it_is_waited_for_lets_the_others_go(patient: World) -> None:
    """They are woken by its edit."""
    put_images(patient, "paused")
    patient.apply(manifests.migration("paused-holder", image=image_id("paused"), definition={"name": "paused-holder"}))
    patient.until_phase("paused-holder", "Creating")
    patient.apply(manifests.migration("paused-waiter", image=image_id("paused"), definition={"name": "paused-waiter"}))
    patient.until_phase("paused-waiter", "Pending")
    patient.azure.clock.advance(LONG)
    spec: Json = {"definition": {"name": "paused-holder"}, "suspend": True}
    patient.apply(manifests.migration("paused-holder", image=image_id("paused"), **spec))
    patient.wait(lambda: builds(patient, "/images/paused-waiter/"), what="the version of the one that waited")
