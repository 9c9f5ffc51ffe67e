"""Every guard keeps an image that is really there, on its own and from one pass to the next; without it, it goes.

The simulator, the engine, the passes and the adapter are the real ones. Each scenario is
played four times: with what the guard minds there from the beginning, and again with it
coming after a pass in which all held but the last few seconds of `Settled`; both with the
guard, and both with the guard taken out. So a test of a guard that is superfluous fails.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from imageferry.migration import guards, regions
from imageferry.migration.guards import DEFERRED_GUARDS, IMMEDIATE
from imageferry.migration.scopes import Scopes
from imageferry.migration.steps import Brake
from imageferry.simulator import FailOperation
from tests import manifests, others
from tests.cluster.consumers import SCALE_SETS, scale_set
from tests.manifests import gallery_id, image_id
from tests.walks.deeds import Deeds
from tests.walks.world import World

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
IMAGE = image_id("web")
VERSION = f"{gallery_id()}/images/web/versions/1.0.0"
Deed = Callable[[World], object]


def _edit(**change: Any) -> Deed:
    return lambda world: world.server.edit("web", {"sourceDeletion": change})


def _restart(**settings: Any) -> Deed:
    def deed(world: World) -> None:
        for name, value in settings.items():
            setattr(world, name, value)
        world.restart()

    return deed


def _alter(change: Callable[[manifests.Json], None]) -> Deed:
    return lambda world: world.estate.alter(VERSION, change)


def _failed(world: World) -> None:
    """Let somebody change the image's tags, in vain: it is Failed, and may be deleted."""
    change, fails = {"tags": {"team": "others"}}, [FailOperation("InternalExecutionError", "no")]
    others.send(world.estate.cloud, "PATCH", IMAGE, change, api_version="2024-07-01", does=fails)
    world.advance(10)


def _replicating(world: World) -> None:
    """Let the version's own region be copied anew, for days."""
    cloud = world.estate.cloud
    cloud.durations = replace(cloud.durations, home_region=30 * DAY)
    status = {"summary": [{"region": "westeurope", "state": "Replicating"}]}
    world.estate.alter(VERSION, lambda body: body["properties"].update(replicationStatus=status))


def _retaining(world: World) -> None:
    """Let another team migrate the same image, and keep it."""
    other = manifests.migration("other", image=IMAGE, definition={"name": "other"}, sourceDeletion={"policy": "Retain"})
    world.server.create(other)


def _expired(world: World) -> None:
    """Let the word that was given count for a minute, and let that be over."""
    world.server.edit("web", {"verification": {"validForSeconds": 60}})
    world.advance(2 * MINUTE)


def _veto(world: World) -> None:
    Deeds(world).take_back(0, "False")


@dataclass(frozen=True)
class Scenario:
    """What one guard minds: a deed; `patient` is how long the image is safe by it, in seconds."""

    deed: Deed
    between: Deed | None = None
    """A deed of its own for between the passes."""
    patient: float = 6 * HOUR
    doubled: Callable[[pytest.MonkeyPatch], None] = lambda _: None
    """Takes out what asks the same question a second time, before the guards are asked."""


SCENARIOS = {
    "PolicyAllows": Scenario(_edit(policy="Retain")),
    "ScopeAllowed": Scenario(
        _restart(scopes=Scopes("elsewhere")),
        doubled=lambda patch: patch.setattr(Scopes, "refusal", lambda *_: None),
    ),
    "DeletionEnabled": Scenario(_restart(brake=Brake(enabled=False))),
    "VersionBuiltFromSource": Scenario(_alter(lambda body: body["tags"].update({"imageferry-fingerprint": "other"}))),
    "SourceUnchanged": Scenario(_failed),
    "AllRegionsCompleted": Scenario(
        _replicating,
        doubled=lambda patch: patch.setattr(regions, "incomplete", lambda *_: ()),
    ),
    "FullReplication": Scenario(
        _alter(lambda body: body["properties"]["publishingProfile"].update(replicationMode="Shallow"))
    ),
    "VerificationCurrent": Scenario(
        _expired,
        between=_veto,
        doubled=lambda patch: patch.setitem(IMMEDIATE, "GraceElapsed", lambda _: guards.holds("taken out")),
    ),
    "GraceElapsed": Scenario(_edit(graceSeconds=7 * DAY)),
    "WithinRate": Scenario(_restart(brake=Brake(most=0))),
    "NoConsumers": Scenario(lambda world: world.estate.cloud.put(f"{SCALE_SETS}/fleet", scale_set(IMAGE))),
    "NotShared": Scenario(_retaining),
    "Settled": Scenario(_restart(), patient=9 * MINUTE),
}
EACH = [pytest.param(name, each, id=name) for name, each in SCENARIOS.items()]
PRESENT = pytest.mark.parametrize("present", [True, False], ids=["kept", "taken-out"])


@pytest.fixture
def world() -> Iterator[World]:
    """Give a world in which a version has just been seen complete."""
    made = World()
    made.server.create(manifests.migration("web", image=IMAGE))
    while "Replicated" not in made.said("web"):
        made.run_for(5)
    yield made
    made.close()


def take_out(patch: pytest.MonkeyPatch, guard: str) -> None:
    """Let a guard hold whatever it is asked."""
    table = IMMEDIATE if guard in IMMEDIATE else DEFERRED_GUARDS
    patch.setitem(table, guard, lambda _: guards.holds("taken out"))
    SCENARIOS[guard].doubled(patch)


def blocking(world: World) -> set[str]:
    """Return the guards that hold the image back, as the status tells."""
    found = world.server.find("web")
    assert found is not None
    return {each["name"] for each in found["status"]["deletion"]["guards"] if not each["passed"]}


def judge(world: World, *, kept: bool) -> None:
    """Check that the image is there to the end, or is gone and was deleted once."""
    deleted = [each for each in world.estate.ledger.entries(operation="images.delete") if each.effect == "accepted"]
    assert (world.estate.cloud.get(IMAGE) is not None) is kept, "\n".join(world.oracle.trace)
    assert len(deleted) == int(not kept)
    assert not kept or not world.oracle.broken, "\n".join(world.oracle.trace)


@PRESENT
@pytest.mark.parametrize(("guard", "scenario"), EACH)
def test_a_guard_alone_keeps_the_image(
    world: World, guard: str, scenario: Scenario, *, present: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All others hold."""
    if not present:
        take_out(monkeypatch, guard)
    Deeds(world).verify(0)
    scenario.deed(world)
    world.run_for(scenario.patient)
    judge(world, kept=present)


@PRESENT
@pytest.mark.parametrize(("guard", "scenario"), EACH)
def test_a_guard_that_fails_just_before_the_delete_keeps_the_image(
    world: World, guard: str, scenario: Scenario, *, present: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty seconds before, all others held, and the status says so."""
    Deeds(world).verify(0)
    world.run_for(9.5 * MINUTE)
    assert blocking(world) == {"Settled"}
    if not present:
        take_out(monkeypatch, guard)
    (scenario.between or scenario.deed)(world)
    world.run_for(scenario.patient)
    judge(world, kept=present)


def test_the_image_goes_when_all_hold(world: World) -> None:
    """So nothing else keeps it."""
    Deeds(world).verify(0)
    world.run_for(HOUR)
    judge(world, kept=False)


def test_every_guard_has_a_scenario() -> None:
    """A guard that is added is added here."""
    assert set(SCENARIOS) == IMMEDIATE.keys() | DEFERRED_GUARDS.keys()
