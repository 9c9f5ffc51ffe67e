"""SIGKILL around each step of a repair: one deletion, one removal, and the protection is never left off."""

import pytest

from imageferry.simulator import Entry, FailOperation, FailRegion, Fault
from tests import manifests
from tests.chaos.test_killed import KILLS_WITHIN, WHEN, Moments
from tests.cluster import shared
from tests.cluster.shared import PUT_VERSION, WEST, dig, state, version_id
from tests.cluster.world import World

DELETE_VERSION = "galleryImageVersions.delete"
NORTH = {"name": "northeurope"}
BUILDS = {f"d{when}": (DELETE_VERSION, 1, when) for when in WHEN}
REGIONS = {f"r{nth}{when}": (PUT_VERSION, nth, when) for nth in (3, 4) for when in WHEN}
"""The third PUT removes the region that failed, the fourth adds it again."""


@pytest.mark.timeout(600)
def test_killed_before_and_after_every_call_of_a_repair(world: World) -> None:
    """A build is deleted once and built once more; a region is removed once and added once more; nothing else goes."""
    moments, names = Moments(world, BUILDS | REGIONS), [*BUILDS, *REGIONS]
    for name in names:
        does = FailOperation() if name in BUILDS else FailRegion("northeurope")
        skip = 0 if name in BUILDS else 1
        world.azure.faults.add(Fault(PUT_VERSION, does, skip=skip, times=1, resource=f"/images/{name}/"))
    shared.put_images(world, *names)
    shared.apply_all(world, [_manifest(name) for name in names])
    world.azure.hooks.append(moments.see)
    _restart_until(world, names)
    shared.apply_all(world, [_manifest(name, NORTH) for name in REGIONS])
    _restart_until(world, names)

    assert moments.fired == set(names)
    assert {name: len(_effects(world, DELETE_VERSION, name)) for name in names} == {
        **dict.fromkeys(BUILDS, 1),
        **dict.fromkeys(REGIONS, 0),
    }
    assert {name: len(_effects(world, PUT_VERSION, name)) for name in BUILDS} == dict.fromkeys(BUILDS, 2)
    for name in REGIONS:
        allowed = [_removes(entry) for entry in _effects(world, PUT_VERSION, name)]
        assert allowed == [False, False, True, False], name
        safety = dig(state(world, version_id(name)), "properties.safetyProfile")
        assert safety["allowDeletionOfReplicatedLocations"] is False


def _manifest(name: str, *more: manifests.Json) -> manifests.Json:
    return manifests.migration(name, version={"targetRegions": [WEST, *more]})


def _effects(world: World, operation: str, name: str) -> list[Entry]:
    return [each for each in world.azure.ledger.mutations(operation) if f"/images/{name}/" in each.resource_id]


def _removes(entry: Entry) -> bool:
    return bool(dig(entry.body, "properties.safetyProfile.allowDeletionOfReplicatedLocations"))


def _restart_until(world: World, names: list[str]) -> None:
    """Keep an operator running until all migrations wait for a verification of what their spec now says."""
    if not world.operator.running:
        world.operator.start(wait=False)

    def look() -> bool:
        if not world.operator.running:
            world.operator.start(wait=False)
        there = shared.bodies(world)
        return all(_is_settled(there[name]) for name in names)

    world.wait(look, what="all repaired over all kills", within=KILLS_WITHIN)


def _is_settled(body: manifests.Json) -> bool:
    status = body.get("status", {})
    seen = status.get("observedGeneration") == body["metadata"]["generation"]
    return seen and status.get("phase") == "AwaitingVerification" and "operation" not in status
