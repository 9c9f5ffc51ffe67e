"""What Azure accepts and then does not carry out: the codes that section 9 has for failed operations alone.

The operator polls no operation. It sees the version Failed, and what follows is that of docs/healing.md, whatever the
code. All meetings run side by side, each with a fault that lasts or comes once; the ledger counts what was sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from imageferry.simulator import Entry, FailOperation, FailRegion, Fault
from tests import manifests
from tests.cluster import shared
from tests.cluster.shared import PUT_VERSION, conditions, definition_id, dig, version_id
from tests.cluster.world import World
from tests.controlplane import ControlPlane
from tests.manifests import Json, image_id
from tests.section9 import LATE

GET_VERSION, DELETE_VERSION = "galleryImageVersions.get", "galleryImageVersions.delete"
WEST, NORTH = "westeurope", "northeurope"
TEXT = "What was asked for was not done."
TARGETS = "properties.publishingProfile.targetRegions"
ADDED: Json = {"targetRegions": [{"name": WEST}, {"name": NORTH}]}
CHANGED: Json = {"targetRegions": [{"name": WEST, "regionalReplicaCount": 3}]}
BUILDS, REPAIRS = 3, 3
LOOKS_OF_A_WRITE = 25
"""A write takes seven minutes and is looked at each minute at most, with what is looked at around a write."""
STALL = timedelta(minutes=5)
EARLY = 0.9


@dataclass(frozen=True)
class Case:
    """A code that the operation ends with; `puts` and `deletes` are of the version, until it comes to rest."""

    name: str
    does: FailOperation | FailRegion
    puts: int
    deletes: int = 0
    reason: str = ""
    """Why it is Stalled; empty where it heals."""
    says: tuple[str, ...] = ()
    edit: Json | None = None
    """Of spec.version, once the version is built; the fault meets it."""
    once: bool = False

    @property
    def fault(self) -> Fault:
        """What Azure does to it."""
        times, skip = 1 if self.once else None, 1 if self.edit else 0
        return Fault(PUT_VERSION, self.does, resource=f"/images/{self.name}/", skip=skip, times=times)


def cases() -> Iterator[Case]:
    """Return each code at the build, at its own region, at a region added later and at another update."""
    for n, code in enumerate(LATE):
        operation, home, added = FailOperation(code, TEXT), *(FailRegion(r, TEXT, code=code) for r in (WEST, NORTH))
        used_up = (f"it was built {BUILDS} times", "then delete and apply this ImageMigration anew", "az rest")
        yield Case(f"build-once-{n}", operation, 2, 1, once=True)
        yield Case(f"build-{n}", operation, BUILDS, BUILDS - 1, "VersionFailed", (f"{WEST}: {TEXT}", *used_up))
        yield Case(f"home-once-{n}", home, 2, 1, once=True)
        yield Case(f"home-{n}", home, BUILDS, BUILDS - 1, "VersionFailed", (f"{WEST}: {TEXT}", *used_up))
        yield Case(f"added-once-{n}", added, 4, edit=ADDED, once=True)
        repaired = (f"{NORTH}: {TEXT}", f"{NORTH} was repaired {REPAIRS} times", "and it is added again", "az sig")
        yield Case(f"added-{n}", added, 2 + 2 * REPAIRS, 0, "RegionFailed", repaired, edit=ADDED)
        yield Case(f"update-{n}", operation, 2, 0, "UpdateFailed", ("set the field that you changed back",), CHANGED)


CASES = {case.name: case for case in cases()}
CASE = pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
STALLING = pytest.mark.parametrize("case", [c for c in CASES.values() if c.reason], ids=lambda case: case.name)


@pytest.fixture(scope="module")
def here(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give a world in which all came to rest: healed, or stalled and looked at again for a while."""
    with shared.running_world(deployed, tmp_path_factory.mktemp("operations")) as world:
        shared.put_images(world, *CASES)
        for case in CASES.values():
            world.azure.faults.add(case.fault)
        shared.apply_all(world, [manifests.migration(name) for name in CASES])
        edited = [case for case in CASES.values() if case.edit]
        shared.until_phases(world, [case.name for case in edited], "AwaitingVerification")
        shared.apply_all(world, [manifests.migration(case.name, version=case.edit) for case in edited])
        healed = [case.name for case in CASES.values() if not case.reason]
        shared.until_phases(world, {case.name for case in CASES.values() if case.reason}, "Stalled", within=180)
        shared.until_settled(world, healed, "AwaitingVerification")
        world.wait(lambda: all(len(looks_at_rest(world, c)) > 3 for c in CASES.values() if c.reason), what="looks")
        yield world


def of(world: World, case: Case, operation: str = "*", **which: Any) -> list[Entry]:
    """Return the requests for the version of a case."""
    return world.azure.ledger.entries(operation, resource=f"/images/{case.name}/versions/1.0.0", **which)


def looks_at_rest(world: World, case: Case) -> list[Entry]:
    """Return the looks at the version since its last write had failed."""
    over = of(world, case, PUT_VERSION)[-1].time + timedelta(minutes=15)
    return [entry for entry in of(world, case, GET_VERSION) if entry.time > over]


@CASE
def test_it_ends_as_documented(here: World, case: Case) -> None:
    """Stalled for the reason of what failed, with Azure's text and the cure; or healed, with nothing to be seen."""
    said = conditions(here.status(case.name))
    if not case.reason:
        assert "Stalled" not in said
        assert said["Replicated"]["status"] == "True"
        return
    assert said["Stalled"]["reason"] == said["Ready"]["reason"] == case.reason
    assert [words for words in case.says if words not in said["Stalled"]["message"]] == []
    assert here.status(case.name)["phase"] == "Stalled"


@CASE
def test_it_is_sent_as_often_as_documented(here: World, case: Case) -> None:
    """Three builds or three repairs at most; what serves somewhere is never deleted, and the image never."""
    assert len(of(here, case, PUT_VERSION)) == case.puts
    assert len(of(here, case, DELETE_VERSION, effect="accepted")) == len(of(here, case, DELETE_VERSION)) == case.deletes
    assert here.azure.cloud.get(image_id(case.name)) is not None
    kept = [{each["name"] for each in dig(entry.body, TARGETS)} for entry in of(here, case, PUT_VERSION)]
    assert all(WEST in names for names in kept)


@CASE
def test_it_is_looked_at_with_patience(here: World, case: Case) -> None:
    """A handful of looks for each write."""
    assert len(of(here, case, GET_VERSION)) <= LOOKS_OF_A_WRITE * (case.puts + case.deletes)


@STALLING
def test_a_stall_is_looked_at_every_five_minutes_at_most(here: World, case: Case) -> None:
    """And less often each time."""
    times = [entry.time for entry in looks_at_rest(here, case)]
    assert times[-1] - times[0] >= STALL * (len(times) - 1) * EARLY
    assert times[-1] - times[-2] > times[1] - times[0]


def test_the_cure_that_is_told_is_enough(here: World) -> None:
    """Once Azure does what is asked for."""
    here.azure.faults.clear()
    updates, added, builds = (
        [c for c in CASES.values() if c.reason == r] for r in ("UpdateFailed", "RegionFailed", "VersionFailed")
    )
    for case in builds:
        here.azure.cloud.remove(version_id(case.name))
    here.kubectl("delete", "imig", *(case.name for case in builds))
    for case in added:
        shared.change_in_azure(here, version_id(case.name), take_north_out)
    shared.apply_all(here, [manifests.migration(case.name) for case in (*builds, *updates)])

    shared.until_settled(here, [case.name for case in (*updates, *added, *builds)], "AwaitingVerification")
    assert {here.condition(case.name, "Replicated")["status"] for case in added} == {"True"}
    assert here.azure.ledger.mutations("images.delete") == []
    assert here.azure.cloud.get(definition_id(builds[0].name)) is not None


def take_north_out(body: Json) -> None:
    """Do what the command does that is told."""
    profile = body["properties"]["publishingProfile"]
    profile["targetRegions"] = [each for each in profile["targetRegions"] if each["name"] == "West Europe"]
    body["properties"]["safetyProfile"]["allowDeletionOfReplicatedLocations"] = True
    del body["properties"]["replicationStatus"]
