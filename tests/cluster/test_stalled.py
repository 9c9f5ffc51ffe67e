"""What only a person can cure: said with field, finding and cure, and gone on with once Azure shows the cure.

All stalls stand side by side under one operator. The resource is never touched again after
its apply: what is cured here is cured in Azure alone.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from imageferry.simulator import Answer, Entry, FailOperation, FailRegion, Fault, SimulatorServer, Slow
from tests import manifests
from tests.cluster.world import SPEED, World, opened
from tests.controlplane import ControlPlane
from tests.manifests import Json, gallery_id, image_id

SOURCE, DEFINITION, VERSION = "spec.source.managedImageId: ", "spec.definition.name: ", "spec.version.name: "
FIRST_LOOK, LOOKS = 300.0, 3
"""Simulated seconds before a stalled migration is looked at again, and GETs that one look takes at most."""
AFTER_A_BUILD = ("VersionFailed", "RegionFailed")
"""Stalls that are not seen in the first look at all."""
UNDER_WAY = 0.8
"""Seconds that a slow answer takes, as Resource Manager's do: the watch is faster than that."""
ELSEWHERE = "00000000-0000-0000-0000-0000000000aa"
Change = Callable[[SimulatorServer], object]


@dataclass(frozen=True)
class Stall:
    """What stands in Azure, what that must lead to, and what cures it there."""

    reason: str
    says: tuple[str, ...]
    given: Change
    cure: Change
    spec: Json = field(default_factory=dict)
    keeps_silent: tuple[str, ...] = ()


def put_image(name: str, **parts: object) -> Change:
    """Let an image exist, anew if there is one."""
    return lambda azure: azure.cloud.put_image(name, group="legacy", **parts)  # type: ignore[arg-type]


def put_definition(name: str, **parts: object) -> Change:
    """Let a definition exist that nobody of ours made."""
    return lambda azure: azure.cloud.put_definition(name, gallery=gallery_id(), **parts)  # type: ignore[arg-type]


def put_foreign_version(name: str) -> Change:
    """Let the version exist, built from another image."""

    def change(azure: SimulatorServer) -> None:
        other = azure.cloud.put_image(f"not-{name}", group="legacy")
        definition = azure.cloud.put_definition(name, gallery=gallery_id())
        azure.cloud.put_version("1.0.0", definition=definition, source=other)

    return change


def remove(resource: str) -> Change:
    """Take a resource away, as its owner would in the portal."""
    return lambda azure: azure.cloud.remove(resource)


def version_fails(name: str, does: FailOperation | FailRegion) -> Change:
    """Let the first build of a version go wrong."""
    fault = Fault("galleryImageVersions.createOrUpdate", does, resource=f"/images/{name}/", times=1)
    return lambda azure: azure.faults.add(fault)


def both(*changes: Change) -> Change:
    """Do one after the other."""
    return lambda azure: [change(azure) for change in changes]


def definition_id(name: str) -> str:
    """Return the id of a definition in the gallery of these tests."""
    return f"{gallery_id()}/images/{name}"


def version_id(name: str) -> str:
    """Return the id of the version that is built below it."""
    return f"{definition_id(name)}/versions/1.0.0"


def nothing(azure: SimulatorServer) -> None:
    """Leave Azure as it is."""


STALLS: dict[str, Stall] = {
    "no-image": Stall(
        "SourceMissing",
        (SOURCE, f"there is no image {image_id('no-image')}", "create the image"),
        given=nothing,
        cure=put_image("no-image"),
    ),
    "no-subscription": Stall(
        "SubscriptionNotFound",
        (ELSEWHERE, "correct the subscription, or give the operator's identity access"),
        given=nothing,
        cure=lambda azure: azure.cloud.put_image("no-subscription", group="legacy", subscription=ELSEWHERE),
        spec={"source": {"managedImageId": image_id("no-subscription", subscription=ELSEWHERE)}},
    ),
    "no-gallery": Stall(
        "GalleryMissing",
        ("spec.gallery.id: ", f"there is no gallery {gallery_id('late')}", "create it"),
        given=put_image("no-gallery"),
        cure=lambda azure: azure.cloud.put_gallery("late", group="gallery"),
        spec={"gallery": {"id": gallery_id("late")}},
    ),
    "specialized": Stall(
        "SourceNotGeneralized",
        (SOURCE, "the image is Specialized", "generalize the machine"),
        given=put_image("specialized", os_state="Specialized"),
        cure=put_image("specialized"),
    ),
    "large-os-disk": Stall(
        "SourceTooLarge",
        (SOURCE, "the OS disk has 2049 GB", "at most 2048 GB", "capture a smaller image"),
        given=put_image("large-os-disk", size_gb=2049),
        cure=put_image("large-os-disk", size_gb=2048),
    ),
    "large-data-disk": Stall(
        "SourceTooLarge",
        (SOURCE, "the data disk at LUN 1 has 4095 GB"),
        given=put_image("large-data-disk", data_disks=(64, 4095)),
        cure=put_image("large-data-disk", data_disks=(64, 1024)),
    ),
    "contradicted": Stall(
        "DefinitionContradictsSource",
        ("spec.definition: ", "osType is Windows, wanted Linux", "hyperVGeneration is V1, wanted V2"),
        given=put_image("contradicted"),
        cure=put_image("contradicted", os_type="Windows", hyper_v_generation="V1"),
        spec={"definition": {"osType": "Windows", "hyperVGeneration": "V1"}},
    ),
    "other-os": Stall(
        "DefinitionMismatch",
        (DEFINITION, "osType is Linux, wanted Windows", "delete this one"),
        given=both(put_image("other-os", os_type="Windows"), put_definition("other-os")),
        cure=remove(definition_id("other-os")),
        keeps_silent=("hyperVGeneration",),
    ),
    "other-generation": Stall(
        "DefinitionMismatch",
        (DEFINITION, "hyperVGeneration is V2, wanted V1", "delete this one"),
        given=both(put_image("other-generation", hyper_v_generation="V1"), put_definition("other-generation")),
        cure=remove(definition_id("other-generation")),
        keeps_silent=("osType",),
    ),
    "all-other": Stall(
        "DefinitionMismatch",
        (
            DEFINITION,
            "osType is Linux, wanted Windows",
            "osState is Specialized, wanted Generalized",
            "hyperVGeneration is V1, wanted V2",
            "identifier.publisher is contoso, wanted fabrikam",
        ),
        given=both(
            put_image("all-other", os_type="Windows"),
            put_definition("all-other", os_state="Specialized", hyper_v_generation="V1"),
        ),
        cure=remove(definition_id("all-other")),
        spec={"definition": {"identifier": {"publisher": "fabrikam"}}},
    ),
    "foreign-version": Stall(
        "VersionConflict",
        (VERSION, f"was built from {image_id('not-foreign-version')}", image_id("foreign-version"), "delete that one"),
        given=both(put_image("foreign-version"), put_foreign_version("foreign-version")),
        cure=remove(version_id("foreign-version")),
    ),
    "failed-build": Stall(
        "VersionFailed",
        (VERSION, "failed", "it is protected", "delete the version in Azure, and it is built again"),
        given=both(put_image("failed-build"), version_fails("failed-build", FailOperation())),
        cure=remove(version_id("failed-build")),
        spec={
            "version": {"endOfLifeDate": "2040-01-01", "safetyProfile": {"blockDeletionBeforeEndOfLife": True}},
        },
    ),
    "failed-region": Stall(
        "RegionFailed",
        (VERSION, "northeurope: no capacity", "not added by this migration", "--target-regions westeurope=1"),
        given=both(
            put_image("failed-region"), version_fails("failed-region", FailRegion("northeurope", "no capacity"))
        ),
        cure=remove(version_id("failed-region")),
        spec={"version": {"targetRegions": [{"name": "westeurope"}, {"name": "northeurope"}]}},
        keeps_silent=("westeurope:",),
    ),
}


@dataclass
class Story:
    """What became of one migration: stalled, left alone meanwhile, and in the end."""

    stalled: Json
    requests: list[Entry]
    ended: Json


@pytest.fixture(scope="module")
def here(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give one world to the whole module, its operator running."""
    with opened(deployed, tmp_path_factory.mktemp("stalled")) as world:
        world.operator.start()
        yield world


@pytest.fixture(scope="module")
def stories(here: World) -> dict[str, Story]:
    """Let all stall, be left alone for two looks more, be cured in Azure, and end."""
    azure = here.azure
    for stall in STALLS.values():
        stall.given(azure)
    wanted = [manifests.migration(name, **stall.spec) for name, stall in STALLS.items()]
    here.kubectl("apply", "--filename=-", input="\n---\n".join(manifests.text(each) for each in wanted))
    wait_for_all(here, "Stalled")
    stalled = statuses(here)
    mark = azure.ledger.mark()
    with suppress(AssertionError):
        here.wait(lambda: all(len(looks(here, name, since=mark)) > 1 for name in STALLS), what="two looks at each")
    since = {name: mark if stall.reason in AFTER_A_BUILD else 0 for name, stall in STALLS.items()}
    requests = {name: azure.ledger.entries(resource=f"/images/{name}", since=since[name]) for name in STALLS}
    for stall in STALLS.values():
        stall.cure(azure)
    wait_for_all(here, "AwaitingVerification")
    ended = statuses(here)
    return {name: Story(stalled[name], requests[name], ended[name]) for name in STALLS}


def wait_for_all(world: World, phase: str) -> None:
    """Wait until all are there; which of them is not, its own test tells."""
    with suppress(AssertionError):
        world.wait(lambda: set(world.phases().values()) == {phase}, what=f"all {phase}", within=40)


def statuses(world: World) -> dict[str, Json]:
    """Return all statuses by name."""
    items = json.loads(world.kubectl("get", "imig", "--output=json").stdout)["items"]
    return {item["metadata"]["name"]: item.get("status", {}) for item in items}


def looks(world: World, name: str, *, since: int) -> list[Entry]:
    """Return the first GET of every look at a migration."""
    return world.azure.ledger.entries("galleryImageVersions.get", resource=f"/images/{name}/", since=since)


def conditions(status: Json) -> dict[str, Json]:
    """Return the conditions by type."""
    return {each["type"]: each for each in status.get("conditions", [])}


@pytest.mark.parametrize("name", STALLS)
def test_a_stall_names_field_finding_and_cure(stories: dict[str, Story], name: str) -> None:
    """Stalled is True, Ready False, Reconciling absent, and the message says it all."""
    status, stall = stories[name].stalled, STALLS[name]

    assert status["phase"] == "Stalled"
    said = conditions(status)
    assert (said["Stalled"]["status"], said["Stalled"]["reason"]) == ("True", stall.reason)
    assert (said["Ready"]["status"], said["Ready"]["message"]) == ("False", said["Stalled"]["message"])
    assert "Reconciling" not in said
    assert [part for part in stall.says if part not in said["Stalled"]["message"]] == []
    assert [part for part in stall.keeps_silent if part in said["Stalled"]["message"]] == []


@pytest.mark.parametrize("name", STALLS)
def test_a_stalled_migration_is_looked_at_now_and_then(stories: dict[str, Story], name: str) -> None:
    """GETs only, a few at a time, minutes apart."""
    requests = stories[name].requests

    assert {entry.method for entry in requests} == {"GET"}
    times = [entry.time for entry in requests if entry.operation == "galleryImageVersions.get"]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    assert gaps
    assert min(gaps) > FIRST_LOOK * 0.9
    assert len(requests) <= len(times) * LOOKS


@pytest.mark.parametrize("name", STALLS)
def test_a_cure_in_azure_alone_lets_it_go_on(stories: dict[str, Story], name: str) -> None:
    """The next look sees the cure; nobody has to touch the resource."""
    status = stories[name].ended

    assert status["phase"] == "AwaitingVerification"
    said = conditions(status)
    assert (said["Ready"]["status"], said["Replicated"]["status"]) == ("True", "True")
    assert {"Stalled", "Reconciling"}.isdisjoint(said)
    assert "error" not in status
    assert {said[kind]["status"] for kind in ("PreflightPassed", "DefinitionReady", "VersionReady")} == {"True"}


def test_one_build_for_each_cure(here: World, stories: dict[str, Story]) -> None:
    """No version is requested before its cure, and one after it; the failed ones once before."""
    del stories
    built = {name: here.azure.ledger.count("*Versions.createOrUpdate", resource=f"/images/{name}/") for name in STALLS}

    assert built == dict.fromkeys(STALLS, 1) | {"failed-build": 2, "failed-region": 2}
    assert here.azure.ledger.mutations("images.delete") == []


def lock(world: World, name: str) -> int:
    """Lock an image in Azure; gives the fault's number."""
    world.azure.cloud.put_image(name, group="legacy")
    return world.azure.faults.add(Fault("images.delete", Answer(409, "ScopeLocked"), resource=f"/images/{name}"))


def test_a_locked_image_blocks_its_deletion_and_nothing_else(here: World) -> None:
    """Ready stays True and nothing is Stalled; the deletion goes through once the lock is gone."""
    fault = lock(here, "locked")
    here.apply(manifests.migration("locked"))
    here.until_phase("locked", "AwaitingVerification")
    here.verify("locked")

    def is_blocked(status: Json) -> bool:
        return bool(conditions(status)["SourceDeleted"]["reason"] == "DeletionBlocked" and status.get("error"))

    status = here.until("locked", is_blocked, what="the lock's refusal")
    said = conditions(status)
    assert said["Ready"]["status"] == "True"
    assert {"Stalled", "Reconciling"}.isdisjoint(said)
    assert "ScopeLocked" in said["SourceDeleted"]["message"]
    assert "remove the lock in Azure" in said["SourceDeleted"]["message"]
    assert (status["error"]["code"], status["error"]["kind"]) == ("ScopeLocked", "AskUser")

    here.azure.faults.remove(fault)
    status = here.until_phase("locked", "Completed")
    assert status["deletion"]["receipt"]["outcome"] == "Deleted"
    assert here.azure.ledger.count("images.delete", effect="accepted", resource="/images/locked") == 1


def test_a_locked_image_is_tried_now_and_then(here: World) -> None:
    """Minutes lie between two refused deletions, and each was announced."""
    fault = lock(here, "held")
    here.azure.faults.add(Fault("images.delete", Slow(UNDER_WAY), resource="/images/held"))
    here.apply(manifests.migration("held"))
    here.until_phase("held", "AwaitingVerification")
    here.verify("held")

    def tried() -> list[Entry]:
        return here.azure.ledger.entries("images.delete", resource="/images/held")

    here.wait(lambda: len(tried()) > 1, what="two refused deletions")
    times = [entry.time for entry in tried()]
    assert (
        min((later - earlier).total_seconds() for earlier, later in pairwise(times))
        > (FIRST_LOOK + UNDER_WAY * SPEED) * 0.95
    )

    here.azure.faults.remove(fault)
    here.until_phase("held", "Completed")


def test_a_lock_is_one_event_however_often_it_refuses(here: World) -> None:
    """The deletion is blocked from the first refusal to the last; what lasts is no transition."""
    words = ("--field-selector=involvedObject.name=held", "--output=json")
    items = json.loads(here.kubectl("get", "events", *words).stdout)["items"]

    assert here.azure.ledger.count("images.delete", effect="refused", resource="/images/held") > 1
    assert [item["reason"] for item in items].count("DeletionBlocked") == 1


def test_where_ready_means_complete_a_lock_stalls(here: World) -> None:
    """With readyWhen Complete the lock is what holds the resource up, and Stalled says so."""
    fault = lock(here, "awaited")
    here.apply(manifests.migration("awaited", readyWhen="Complete"))
    here.until_phase("awaited", "AwaitingVerification")
    here.verify("awaited")

    status = here.until_phase("awaited", "Stalled")
    said = conditions(status)
    assert (said["Stalled"]["reason"], said["Ready"]["status"]) == ("ScopeLocked", "False")
    assert "remove the lock in Azure" in said["Stalled"]["message"]

    here.azure.faults.remove(fault)
    assert conditions(here.until_phase("awaited", "Completed"))["Ready"]["status"] == "True"
