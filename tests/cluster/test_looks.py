"""The looks around, over HTTPS: each question is one call, shared by all who ask, and what is refused is a value."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imageferry.azure import Azure, ids
from imageferry.migration.errors import BackOffError
from imageferry.migration.facts import MISSING, Found, ListedVersion, Lock, Quota, Surroundings, Unreadable, value_of
from imageferry.migration.inquiry import Inquiry
from imageferry.simulator import SUBSCRIPTION, Answer, Fault, SimulatorServer
from tests import adapter
from tests.manifests import gallery_id, image_id

DEPLOY = Path(__file__).parents[2] / "deploy" / "azure"
ROOT = f"/subscriptions/{SUBSCRIPTION}"
LEGACY, GALLERY = f"{ROOT}/resourceGroups/legacy", f"{ROOT}/resourceGroups/gallery"
KEY = f"{LEGACY}/providers/Microsoft.Compute/diskEncryptionSets/key"
MACHINE = f"{LEGACY}/providers/Microsoft.Compute/virtualMachines/web"
DEFINITION = f"{gallery_id()}/images/web"
PLAN = {"name": "p", "publisher": "q", "product": "r"}
EVERYTHING = Inquiry(
    SUBSCRIPTION,
    regions=True,
    quotas=("westeurope", "northeurope"),
    locks=(LEGACY, GALLERY),
    encryption_sets=(KEY, f"{KEY}2"),
    machine=MACHINE,
    soft_deleted=DEFINITION,
    versions=DEFINITION,
)
SHARED = 30.0


@pytest.fixture
def simulator() -> Iterator[SimulatorServer]:
    """Give an Azure in which there is one of each."""
    with SimulatorServer(page_size=50) as server:
        cloud = server.cloud
        server.clock.freeze()
        cloud.put_group("legacy")
        cloud.put_gallery("prod", group="gallery", soft_delete=True)
        cloud.put_image("web", group="legacy")
        cloud.put_definition("web", gallery=gallery_id())
        for number in range(60):
            cloud.put_version(f"0.0.{number}", definition=DEFINITION, source=image_id("web"))
        cloud.put(KEY, {"location": "westeurope"})
        cloud.put(MACHINE, {"location": "westeurope", "plan": PLAN, "properties": {}})
        cloud.put_lock("keep", scope=image_id("web"))
        yield server


class Clock:
    """Seconds, moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        """Return them."""
        return self.now


def azure(simulator: SimulatorServer, clock: Clock | None = None, *, writes: bool = False) -> Azure:
    """Return our client of it."""
    config = adapter.config(simulator, shared_seconds=SHARED)
    return Azure(config, may_write=lambda: writes, clock=clock or Clock())


def calls(simulator: SimulatorServer) -> Counter[str]:
    """Return how often each call was made."""
    return Counter(entry.operation for entry in simulator.ledger.entries())


OWN = {"virtualMachines.get": 1, "softDeletedResource.list": 1, "galleryImageVersions.list": 1}
"""What each migration asks for itself."""
TOGETHER = {
    "subscriptions.listLocations": 1,
    "providers.get": 1,
    "usages.list": 2,
    "locks.list": 1,
    "diskEncryptionSets.get": 2,
}
"""What all of a subscription ask alike."""


async def test_every_answer_is_read(simulator: SimulatorServer) -> None:
    """As ARM gives it: short names, numbers, and only the first page of versions."""
    async with azure(simulator) as client:
        seen = await client.surroundings(EVERYTHING)

    regions, offered = value_of(seen.regions), value_of(seen.offered)
    assert regions is not None
    assert offered is not None
    assert (regions["westeurope"], regions["ukwest"], "westeurope" in offered) == (True, False, True)
    quotas = value_of(seen.quotas["westeurope"])
    assert quotas is not None
    assert quotas["GalleryImageVersion"] == Quota(60, 10_000)
    assert set(seen.locks.values()) == {Found((Lock("keep", image_id("web"), "CanNotDelete"),))}
    assert seen.encryption_sets == {KEY: Found("westeurope"), f"{KEY}2": MISSING}
    assert seen.machine == Found(("p", "q", "r"))
    assert seen.soft_deleted == Found(frozenset())
    versions = value_of(seen.versions)
    assert versions is not None
    assert len(versions) == 50
    assert versions[0] == ListedVersion("0.0.0", image_id("web"), "Succeeded")
    assert calls(simulator) == Counter(OWN | TOGETHER)


async def test_a_deleted_version_that_is_kept_is_seen(simulator: SimulatorServer) -> None:
    """By its number."""
    await delete(simulator, f"{DEFINITION}/versions/0.0.7")
    async with azure(simulator) as client:
        seen = await client.surroundings(Inquiry(SUBSCRIPTION, soft_deleted=DEFINITION))

    assert seen == Surroundings(soft_deleted=Found(frozenset({"0.0.7"})))


async def delete(simulator: SimulatorServer, version: str, *, purge: bool = False) -> None:
    """Delete a version as somebody else would, over HTTPS, and let it be gone."""
    at = ids.parse(version)
    async with azure(simulator, writes=True) as somebody:
        versions = somebody.compute(at.subscription).gallery_image_versions
        await versions.begin_delete(at.group, *at.names, bypass_soft_delete=purge, polling=False)
    simulator.clock.advance(600)


async def test_many_migrations_of_a_subscription_share_what_it_tells(simulator: SimulatorServer) -> None:
    """Ten at once and ten later cost what one costs, until the answers are too old."""
    clock = Clock()
    async with azure(simulator, clock) as client:
        await asyncio.gather(*(client.surroundings(EVERYTHING) for _ in range(10)))
        clock.now += SHARED - 1
        await asyncio.gather(*(client.surroundings(EVERYTHING) for _ in range(10)))
        assert calls(simulator) == Counter(dict.fromkeys(OWN, 20) | TOGETHER)
        clock.now += 1
        await client.surroundings(EVERYTHING)
    assert calls(simulator) == Counter(dict.fromkeys(OWN, 21) | {name: 2 * n for name, n in TOGETHER.items()})


async def test_a_passing_fault_is_nobodys_answer(simulator: SimulatorServer) -> None:
    """It comes through, and the next one asks again."""
    simulator.faults.add(Fault("usages.list", Answer(503, "ServiceUnavailable"), times=1))
    asked = Inquiry(SUBSCRIPTION, quotas=("westeurope",))
    async with azure(simulator) as client:
        with pytest.raises(BackOffError) as raised:
            await client.surroundings(asked)
        seen = await client.surroundings(asked)

    assert raised.value.code == "ServiceUnavailable"
    assert isinstance(seen.quotas["westeurope"], Found)


async def test_locks_are_read_by_group_where_the_subscription_is_out_of_reach(simulator: SimulatorServer) -> None:
    """With rights in the groups alone; the refusal is remembered like any answer."""
    for group in (LEGACY, GALLERY):
        simulator.cloud.assign("operator-client", {"Actions": ["*"]}, scope=group)
    async with azure(simulator) as client:
        for _ in range(2):
            seen = await client.surroundings(Inquiry(SUBSCRIPTION, locks=(LEGACY, GALLERY)))

    assert seen.locks == {LEGACY: Found((Lock("keep", image_id("web"), "CanNotDelete"),)), GALLERY: Found(())}
    assert calls(simulator) == Counter({"locks.list": 3})


ROLES = {
    name: json.loads((DEPLOY / f"{name}.json").read_text(encoding="utf-8"))
    for name in ("migrator", "subscription-role")
}


def assign(simulator: SimulatorServer, *, but: str = "") -> None:
    """Give our roles where the docs say, but one right."""
    scopes = {"migrator": (LEGACY, GALLERY), "subscription-role": (ROOT,)}
    for name, role in ROLES.items():
        actions = [each for each in role["Actions"] if each != but]
        for scope in scopes[name]:
            simulator.cloud.assign("operator-client", {"Actions": actions}, scope=scope)


def unreadable(seen: Surroundings) -> set[str]:
    """Return what could not be read."""
    found = {
        name for name in ("regions", "offered", "machine", "soft_deleted", "versions") if _refused(getattr(seen, name))
    }
    several = ("quotas", "locks", "encryption_sets")
    return found | {name for name in several if any(_refused(each) for each in getattr(seen, name).values())}


def _refused(reading: object) -> bool:
    return reading == Unreadable("AuthorizationFailed")


@pytest.mark.parametrize(
    ("right", "missing"),
    [
        ("", set()),
        ("Microsoft.Resources/subscriptions/locations/read", {"regions"}),
        ("Microsoft.Resources/subscriptions/providers/read", {"offered"}),
        ("Microsoft.Compute/locations/usages/read", {"quotas"}),
        ("Microsoft.Authorization/locks/read", {"locks"}),
        ("Microsoft.Compute/diskEncryptionSets/read", {"encryption_sets"}),
        ("Microsoft.Compute/virtualMachines/read", {"machine"}),
        ("Microsoft.Compute/galleries/*/read", {"soft_deleted", "versions"}),
    ],
)
async def test_our_roles_hold_just_what_it_takes(simulator: SimulatorServer, right: str, missing: set[str]) -> None:
    """All can be read with them; without one right just what it is for cannot, and nothing is raised."""
    assign(simulator, but=right)
    async with azure(simulator) as client:
        assert unreadable(await client.surroundings(EVERYTHING)) == missing


async def test_what_this_cloud_does_not_have_is_no_reason_to_stop(simulator: SimulatorServer) -> None:
    """An API version that is not known there, say."""
    simulator.faults.add(Fault("subscriptions.listLocations", Answer(400, "NoRegisteredProviderFound")))
    async with azure(simulator) as client:
        seen = await client.surroundings(replace(Inquiry(SUBSCRIPTION), regions=True))

    assert seen.regions == Unreadable("NoRegisteredProviderFound")
    assert isinstance(seen.offered, Found)
