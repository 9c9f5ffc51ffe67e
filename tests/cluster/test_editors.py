"""Others write to the same version at the same time: what they have set stays, and what the spec says comes.

ARM has no ETag on galleries and a PUT replaces the body (fact sheet, section 2.1). What stands between is that Azure
takes one write to a version at a time, which lasts minutes, and that every write here starts from a look in its own
pass. The window that remains is told in docs/healing.md.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from imageferry.simulator import Call, FailRegion, Fault
from imageferry.simulator.wire import ArmError
from tests import manifests, others
from tests.cluster import shared
from tests.cluster.shared import PUT_VERSION, WEST, dig, state, version_id
from tests.cluster.world import World
from tests.controlplane import ControlPlane
from tests.manifests import Json

NAMES = ("replicas", "region", "repaired", "stale", "overwritten")
NORTH: Json = {"name": "northeurope"}
Change = Callable[[Json], None]


@pytest.fixture(scope="module")
def here(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give one world to the whole module, with a complete version of each name."""
    with shared.running_world(deployed, tmp_path_factory.mktemp("editors")) as world:
        shared.put_images(world, *NAMES)
        shared.apply_all(world, [manifest(name, [WEST]) for name in NAMES])
        shared.until_phases(world, NAMES, "AwaitingVerification")
        yield world


def manifest(name: str, regions: list[Json], **tags: str) -> Json:
    """Return a migration with these regions and tags."""
    return manifests.migration(name, **shared.version(targetRegions=regions, tags={"env": "test", **tags}))


def write(world: World, name: str, change: Change, *, body: Json | None = None) -> None:
    """Let somebody else read the version, change it, and send it as az does; an operation of minutes begins."""
    resource = version_id(name)
    there = body or state(world, resource)
    change(there)
    kept = {key: there["properties"][key] for key in ("publishingProfile", "safetyProfile")}
    sent = {"location": there["location"], "tags": there["tags"], "properties": {**kept, "storageProfile": {}}}
    others.send(world.azure.cloud, "PUT", resource, sent, api_version="2026-03-03")


@contextmanager
def meanwhile(world: World, name: str, when: str, act: Callable[[], None], *, nth: int = 1) -> Iterator[list[Call]]:
    """Act once, right before or after the effect of the n-th PUT of the version from now on; give those PUTs."""
    seen: list[Call] = []

    def hook(call: Call) -> None:
        if (call.operation, call.resource_id, call.when) == (PUT_VERSION, version_id(name), when):
            seen.append(call)
            if len(seen) == nth:
                act()

    world.azure.hooks.append(hook)
    try:
        yield seen
    finally:
        world.azure.hooks.remove(hook)


def replicas(count: int, region: int = 0) -> Change:
    """Return what an autoscaler does: more copies in a region."""

    def change(body: Json) -> None:
        body["properties"]["publishingProfile"]["targetRegions"][region]["regionalReplicaCount"] = count
        body["tags"]["scaled-by"] = "them"

    return change


def more(region: str) -> Change:
    """Return what somebody does who adds a region."""
    return lambda body: body["properties"]["publishingProfile"]["targetRegions"].append({"name": region})


def regions(world: World, name: str) -> dict[str, int]:
    """Return the copies of each region of the version."""
    found = dig(state(world, version_id(name)), shared.TARGETS)
    return {each["name"]: each["regionalReplicaCount"] for each in found}


@pytest.mark.parametrize(
    ("name", "change", "wanted"),
    [
        pytest.param("replicas", replicas(5), {"West Europe": 5, "North Europe": 1}, id="autoscaler"),
        pytest.param(
            "region", more("uksouth"), {"West Europe": 1, "UK South": 1, "North Europe": 1}, id="another-region"
        ),
    ],
)
def test_a_write_between_our_look_and_our_put_is_kept(
    here: World, name: str, change: Change, wanted: dict[str, int]
) -> None:
    """Azure refuses ours while theirs runs; the next pass reads what they have set, and both end states hold."""
    with meanwhile(here, name, "before", lambda: write(here, name, change)) as tries:
        here.apply(manifest(name, [WEST, NORTH], env="prod"))
        shared.until_settled(here, [name], "AwaitingVerification")

    assert regions(here, name) == wanted
    assert state(here, version_id(name))["tags"]["env"] == "prod"
    statuses = [entry.status for entry in here.azure.ledger.entries(PUT_VERSION, resource=f"/images/{name}/")]
    assert statuses == [201, 409, 200]
    assert len(tries) == 2


def test_a_repair_waits_for_another_writer_too(here: World) -> None:
    """What they add while a failed region is removed stays: the removal starts from a new look."""
    name = "repaired"
    here.azure.faults.add(Fault(PUT_VERSION, FailRegion("northeurope"), times=1, resource=f"/images/{name}/"))
    with meanwhile(here, name, "before", lambda: write(here, name, more("uksouth")), nth=2) as tries:
        here.apply(manifest(name, [WEST, NORTH]))
        shared.until_settled(here, [name], "AwaitingVerification")

    assert regions(here, name) == {"West Europe": 1, "UK South": 1, "North Europe": 1}
    assert len(tries) == 4, "the addition, the removal refused, the removal, the addition"
    assert dig(state(here, version_id(name)), "properties.safetyProfile.allowDeletionOfReplicatedLocations") is False


def test_a_stale_body_of_others_cannot_drop_our_region(here: World) -> None:
    """They read before our PUT and write after it: Azure refuses a body that lacks a region, because ours says so."""
    name = "stale"
    old = state(here, version_id(name))
    here.apply(manifest(name, [WEST, NORTH]))
    shared.until_settled(here, [name], "AwaitingVerification")

    with pytest.raises(ArmError, match="allowDeletionOfReplicatedLocations is false"):
        write(here, name, replicas(3), body=old)
    assert regions(here, name) == {"West Europe": 1, "North Europe": 1}


def test_what_a_stale_body_undoes_before_it_shows_is_written_again(here: World) -> None:
    """The look after the PUT finds that it does not show: it is announced anew over what they have set."""
    name = "overwritten"

    def undo() -> None:
        shared.change_in_azure(here, version_id(name), lambda body: body["tags"].update(env="test", owner="them"))

    with meanwhile(here, name, "after", undo) as tries:
        here.apply(manifest(name, [WEST], env="prod"))
        shared.until_settled(here, [name], "AwaitingVerification")

    tags = state(here, version_id(name))["tags"]
    assert (tags["env"], tags["owner"], len(tries)) == ("prod", "them", 2)
