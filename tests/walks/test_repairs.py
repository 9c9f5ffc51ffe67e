"""Repairs, with the operator killed at every single call, and with caches that answer what was before."""

from contextlib import suppress

import pytest

from imageferry.simulator import FailOperation, FailRegion, Fault
from imageferry.simulator.ledger import Effect
from tests import manifests
from tests.manifests import gallery_id, image_id
from tests.walks.line import CrashError
from tests.walks.world import World

MINUTE, HOUR = 60, 3600
PUT, DELETE = "galleryImageVersions.createOrUpdate", "galleryImageVersions.delete"
VERSION = f"{gallery_id()}/images/web/versions/1.0.0"
STALE = [pytest.param(0, id="fresh"), pytest.param(4, id="stale")]


def _in_regions(*names: str) -> manifests.Json:
    return {"targetRegions": [{"name": name} for name in names]}


def _run(world: World, ticks: int, stale: int) -> bool:
    """Let it be repaired with a kill after so many ticks; return whether it came to that."""
    world.estate.stale = stale
    fallen: list[bool] = []

    def fall() -> None:
        fallen.append(True)
        world.leader.line.cut()

    line = world.leader.line
    line.plan(ticks, fall)
    with suppress(CrashError):
        world.run_for(45 * MINUTE, most=400)
    line.clear()
    if fallen and not line.alive and world.leader.line is line:
        world.restart()
    world.run_for(HOUR, most=400)
    return bool(fallen)


def _ends_well(world: World) -> None:
    seen = world.estate.version(VERSION)
    assert seen is not None, "\n".join(world.oracle.trace)
    assert (seen.state, set(seen.replication.values())) == ("Succeeded", {"Completed"}), "\n".join(world.oracle.trace)
    assert seen.body["properties"]["safetyProfile"]["allowDeletionOfReplicatedLocations"] is False
    assert not world.oracle.broken, "\n".join(world.oracle.trace)


@pytest.mark.parametrize("stale", STALE)
def test_a_failed_build_is_repaired_over_a_kill_at_any_call(stale: int) -> None:
    """One deletion and two builds, wherever the operator dies."""
    ticks, fell = 1, True
    while fell:
        world = World()
        world.estate.faults.add(Fault(PUT, FailOperation("InternalExecutionError", "no"), times=1))
        world.server.create(manifests.migration("web", image=image_id("web")))
        fell = _run(world, ticks, stale)
        _ends_well(world)
        assert len(world.estate.ledger.entries(DELETE, effect=Effect.ACCEPTED)) == 1
        assert world.oracle.created.total() == 2
        world.close()
        ticks += 1
    assert ticks > 20, "there were calls to die at"


@pytest.mark.parametrize("stale", STALE)
def test_a_failed_region_is_repaired_over_a_kill_at_any_call(stale: int) -> None:
    """One removal and one addition, wherever the operator dies; the protection is back at the end."""
    ticks, fell = 1, True
    while fell:
        world = World()
        world.server.create(manifests.migration("web", image=image_id("web"), version=_in_regions("westeurope")))
        world.run_for(HOUR)
        world.estate.faults.add(Fault(PUT, FailRegion("northeurope"), times=1))
        world.server.edit("web", {"version": _in_regions("westeurope", "northeurope")})
        fell = _run(world, ticks, stale)
        _ends_well(world)
        assert world.oracle.seen["failed regions removed"] == 1
        assert not world.estate.ledger.entries(DELETE)
        world.close()
        ticks += 1
    assert ticks > 15, "there were calls to die at"
