"""Many migrations that want the same thing: one writes at a time, the others say for whom they wait, all arrive."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest

from tests import manifests
from tests.cluster import shared
from tests.cluster.shared import (
    PUT_DEFINITION,
    PUT_VERSION,
    conditions,
    definition_id,
    statuses,
    until_phases,
    version_id,
)
from tests.cluster.world import World
from tests.controlplane import ControlPlane
from tests.manifests import Json, gallery_id, image_id

LONG = 36_000.0
"""Simulated seconds: a build that does not end by itself while a test looks."""
BUILD = 420.0 + 60.0
"""Simulated seconds from the request of a version until its own region is Completed."""
TEN = [f"one-{n}" for n in range(10)]
SUSPENDED, STALLED, RETAINING = TEN[2], TEN[4], TEN[6]
MOVING = [name for name in TEN if name not in (SUSPENDED, STALLED)]


def one_of_ten(name: str, **changes: Json | bool | str) -> Json:
    """Return a migration of the one image into a gallery of its own."""
    spec: Json = {"gallery": {"id": gallery_id(name.replace("-", "_"))}, "definition": {"name": "one"}}
    policy: Json = {"sourceDeletion": {"policy": "Retain"}} if name == RETAINING else {}
    return manifests.migration(name, image=image_id("one"), **(spec | policy | changes))


@dataclass
class Ten:
    """What became of the ten."""

    world: World
    waiting: dict[str, Json]
    """Statuses while the first one built."""
    arrived: dict[str, Json]
    """Statuses when all that moved had arrived."""
    complete: dict[str, Json]
    """Statuses when the other two had too."""
    verified: dict[str, Json]
    released: dict[str, Json]
    """Statuses when the one that retained did not any more."""
    deletions_while_retained: int


@pytest.fixture(scope="module")
def quick(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give a world whose operator is as fast as its Azure."""
    with shared.running_world(deployed, tmp_path_factory.mktemp("quick")) as world:
        yield world


@pytest.fixture(scope="module")
def ten(quick: World) -> Ten:
    """Let ten migrate one image, with a source that is busy until it is replicated."""
    cloud, durations = quick.azure.cloud, quick.azure.cloud.durations
    cloud.rules = replace(cloud.rules, source_busy_until_replicated=True)
    cloud.durations = replace(durations, version_create=LONG)
    cloud.put_image("one", group="legacy")
    for name in TEN:
        if name != STALLED:
            cloud.put_gallery(name.replace("-", "_"), group="gallery")
    shared.apply_all(quick, [one_of_ten(name, suspend=name == SUSPENDED) for name in TEN])
    until_phases(quick, [STALLED], "Stalled")
    quick.wait(lambda: list(statuses_of_moving(quick).values()).count("Pending") == 7, what="seven that wait")
    waiting = statuses(quick)
    cloud.durations = durations
    quick.azure.clock.advance(LONG)
    until_phases(quick, MOVING, "AwaitingVerification", within=120)
    arrived = statuses(quick)
    cloud.put_gallery(STALLED.replace("-", "_"), group="gallery")
    shared.apply_all(quick, [one_of_ten(SUSPENDED)])
    until_phases(quick, TEN, "AwaitingVerification")
    complete = statuses(quick)
    shared.verify_all(quick, TEN)
    until_phases(quick, [RETAINING], "Completed")
    others = sorted(set(TEN) - {RETAINING})
    held = f"{quick.namespace}/{RETAINING} retains the same image"
    shared.until_all(quick, others, lambda status: held in source_says(status), what=f"all told that {held}")
    verified, deletions = statuses(quick), quick.azure.ledger.count("images.delete")
    quick.apply(one_of_ten(RETAINING, sourceDeletion={"policy": "Delete"}))
    until_phases(quick, TEN, "Completed")
    return Ten(quick, waiting, arrived, complete, verified, statuses(quick), deletions)


def source_says(status: Json) -> str:
    """Return what is said of the deletion of the source."""
    return str(conditions(status).get("SourceDeleted", {}).get("message"))


def statuses_of_moving(world: World) -> dict[str, str]:
    """Return the phases of those that neither are suspended nor stall."""
    return {name: status.get("phase", "") for name, status in statuses(world).items() if name in MOVING}


def test_ten_migrations_of_one_image_build_one_after_the_other(ten: Ten) -> None:
    """Never is a second build requested before the first is replicated, and Azure never has to refuse one."""
    ledger = ten.world.azure.ledger
    times = [entry.time for entry in shared.builds(ten.world)]

    assert len(times) == 10
    assert min((later - earlier).total_seconds() for earlier, later in pairwise(times)) >= BUILD
    assert ledger.entries(PUT_VERSION, effect="refused") == []


def test_those_that_wait_say_for_whom(ten: Ten) -> None:
    """By namespace and name, and what it does; they are on their way, not stalled."""
    (builder,) = [name for name in MOVING if ten.waiting[name]["phase"] == "Creating"]
    for name in set(MOVING) - {builder}:
        said = conditions(ten.waiting[name])
        assert said["Ready"]["reason"] == "WaitingForSource"
        assert said["Ready"]["message"].startswith(
            f"waiting for {ten.world.namespace}/{builder}, which builds from the same managed image"
        )
        assert said["Reconciling"]["status"] == "True"
        assert "Stalled" not in said


def test_a_suspended_and_a_stalled_one_hold_nobody_up_and_arrive_when_they_may(ten: Ten) -> None:
    """Eight arrive without them; they follow once one is resumed and the other is cured in Azure."""
    assert {ten.arrived[name]["phase"] for name in MOVING} == {"AwaitingVerification"}
    assert (ten.arrived[SUSPENDED]["phase"], ten.arrived[STALLED]["phase"]) == ("Suspended", "Stalled")
    assert {status["phase"] for status in ten.complete.values()} == {"AwaitingVerification"}


def test_one_that_retains_keeps_the_image_for_all(ten: Ten) -> None:
    """All are verified, it is complete, and the others say who holds their deletion back."""
    assert ten.deletions_while_retained == 0
    held = f"{ten.world.namespace}/{RETAINING} retains the same image"
    assert {held in source_says(ten.verified[name]) for name in TEN if name != RETAINING} == {True}
    assert ten.verified[RETAINING]["phase"] == "Completed"


def test_the_image_is_deleted_once_when_nobody_retains_it(ten: Ten) -> None:
    """All are complete by one deletion."""
    assert {status["phase"] for status in ten.released.values()} == {"Completed"}
    assert len(ten.world.azure.ledger.mutations("images.delete")) == 1
    assert ten.world.azure.cloud.get(image_id("one")) is None


def test_many_of_one_version_build_it_once(quick: World) -> None:
    """The others adopt it, whether they came first or not."""
    world = quick
    names = [f"same-{n}" for n in range(5)]
    shared.put_images(world, "same")
    same: Json = {"definition": {"name": "same"}}
    shared.apply_all(world, [manifests.migration(name, image=image_id("same"), **same) for name in names])
    until_phases(world, names, "AwaitingVerification")

    seen = statuses(world)
    assert sorted(seen[name]["version"]["outcome"] for name in names) == ["Adopted"] * 4 + ["Created"]
    assert [entry.effect for entry in world.azure.ledger.entries(PUT_VERSION, resource=version_id("same"))] == [
        "created"
    ]
    assert world.azure.ledger.count(PUT_DEFINITION, resource=definition_id("same")) == 1


def test_many_images_for_one_version_name_stall_but_one(quick: World) -> None:
    """The first builds it; the others say from which image it was built. Nothing is refused, as nothing is sent."""
    world = quick
    names = [f"rival-{n}" for n in range(4)]
    shared.put_images(world, *names)
    shared.apply_all(world, [manifests.migration(name, definition={"name": "rival"}) for name in names])

    def decided() -> bool:
        phases = [statuses(world)[name].get("phase") for name in names]
        return sorted(str(phase) for phase in phases) == ["AwaitingVerification"] + ["Stalled"] * 3

    world.wait(decided, what="one that built and three that stall")
    assert decided(), statuses(world)
    (winner,) = [name for name in names if statuses(world)[name]["phase"] == "AwaitingVerification"]
    for name in set(names) - {winner}:
        said = conditions(statuses(world)[name])["Stalled"]
        assert said["reason"] == "VersionConflict", said
        assert f"was built from {image_id(winner)}, not from {image_id(name)}" in said["message"]
    puts = world.azure.ledger.entries(PUT_VERSION, resource=version_id("rival"))
    assert [entry.effect for entry in puts] == ["created"]


@pytest.mark.parametrize(
    ("kind", "older", "phase"),
    [
        ("suspended", {"suspend": True}, "Suspended"),
        ("planned", {"mode": "Plan"}, "Planned"),
        ("stalled", {"definition": {"name": "idle-stalled", "osType": "Windows"}}, "Stalled"),
    ],
)
def test_an_older_one_that_does_not_move_holds_nothing_up(quick: World, kind: str, older: Json, phase: str) -> None:
    """Same image, same definition, same version: the younger one builds."""
    world, name = quick, f"idle-{kind}"
    shared.put_images(world, name)
    same: Json = {"definition": {"name": name}}
    world.apply(manifests.migration(f"{name}-older", image=image_id(name), **(same | older)))
    world.until_phase(f"{name}-older", phase)
    world.apply(manifests.migration(name, **same))
    status = world.until_phase(name, "AwaitingVerification")

    assert status["version"]["outcome"] == "Created"
