"""Mode Plan: every call is told, field by field, none is made; then Migrate makes just these.

Each case of the table is planned, looked at, and switched to Migrate; the bodies in the
ledger are compared with the plan.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest

from imageferry.simulator import Entry
from tests import manifests
from tests.cluster import shared
from tests.cluster.shared import conditions, definition_id, look_again, sent, statuses, until_phases, version_id
from tests.cluster.world import World
from tests.controlplane import ControlPlane
from tests.manifests import Json, gallery_id, image_id

LONG = 36_000.0
ACTIONS = {
    "CreateGallery": ("galleries.createOrUpdate", "created"),
    "CreateDefinition": ("galleryImages.createOrUpdate", "created"),
    "UpdateDefinition": ("galleryImages.createOrUpdate", "updated"),
    "CreateVersion": ("galleryImageVersions.createOrUpdate", "created"),
    "UpdateVersion": ("galleryImageVersions.createOrUpdate", "updated"),
}
Given = Callable[[World, str], object]


def image(world: World, name: str, **parts: Any) -> None:
    """Let there be an image and nothing else."""
    world.azure.cloud.put_image(name, group="legacy", **parts)


def nothing(world: World, name: str) -> None:
    """Let there be nothing at all."""


def foreign_definition(world: World, name: str) -> None:
    """Let the definition exist, for another operating system."""
    image(world, name)
    world.azure.cloud.put_definition(name, gallery=gallery_id(), os_type="Windows")


def foreign_version(world: World, name: str) -> None:
    """Let the version exist, built from another image."""
    image(world, name)
    other = world.azure.cloud.put_image(f"not-{name}", group="legacy")
    there = world.azure.cloud.put_definition(name, gallery=gallery_id())
    world.azure.cloud.put_version("1.0.0", definition=there, source=other)


def adopted(world: World, name: str, **parts: Any) -> None:
    """Let definition and version exist as somebody made them."""
    image(world, name)
    there = world.azure.cloud.put_definition(name, gallery=gallery_id())
    world.azure.cloud.put_version("1.0.0", definition=there, source=image_id(name), **parts)


def migrated(world: World, name: str) -> None:
    """Let the migration have built its version, with other tags, texts and counts than are planned now."""
    image(world, name)
    world.apply(manifests.migration(name, **MIGRATED))
    world.until_phase(name, "AwaitingVerification")


MIGRATED: Json = {
    "definition": {"description": "Old.", "tags": {"env": "test"}},
    "version": {"tags": {"env": "test", "old": "1"}, "latest": "Join"},
}
EDITED: Json = {
    "definition": {"description": "New.", "tags": {"env": "test"}},
    "version": {
        "tags": {"env": "prod"},
        "latest": "Exclude",
        "targetRegions": [
            {"name": "westeurope", "regionalReplicaCount": 3},
            {"name": "northeurope", "storageAccountType": "Premium_LRS", "regionalReplicaCount": 2},
        ],
    },
}
MISSING_GALLERY = {"gallery": {"id": gallery_id("absent")}}
RETAIN: Json = {"sourceDeletion": {"policy": "Retain"}}


@dataclass(frozen=True)
class Case:
    """What stands in Azure, what is wanted, and what has to be told."""

    given: Given
    spec: Json = field(default_factory=dict)
    calls: tuple[str, ...] = ()
    findings: tuple[tuple[str, str], ...] = ()
    says: tuple[str, ...] = ()


CASES = {
    "image-alone": Case(image, calls=("CreateDefinition", "CreateVersion", "DeleteImage")),
    "retained": Case(image, RETAIN, calls=("CreateDefinition", "CreateVersion")),
    "large": Case(
        partial(image, size_gb=1500),
        calls=("CreateDefinition", "CreateVersion", "DeleteImage"),
        findings=(("Warns", "SourceLarge"),),
        says=("spec.source.managedImageId: the OS disk has 1500 GB",),
    ),
    "gallery-to-create": Case(
        image,
        {"gallery": {"id": gallery_id("planned"), "create": {"location": "uksouth", "tags": {"team": "web"}}}},
        calls=("CreateGallery", "CreateDefinition", "CreateVersion", "DeleteImage"),
    ),
    "gallery-missing": Case(
        image,
        MISSING_GALLERY,
        findings=(("Blocks", "GalleryMissing"),),
        says=("spec.gallery.id: there is no gallery", "let it be created by spec.gallery.create"),
    ),
    "nothing": Case(
        nothing, findings=(("Blocks", "SourceMissing"),), says=("spec.source.managedImageId: there is no image",)
    ),
    "other-definition": Case(
        foreign_definition,
        findings=(("Blocks", "DefinitionMismatch"),),
        says=("osType is Windows, wanted Linux",),
    ),
    "other-version": Case(
        foreign_version,
        findings=(("Blocks", "VersionConflict"),),
        says=(f"was built from {image_id('not-other-version')}",),
    ),
    "past": Case(
        image,
        {"version": {"endOfLifeDate": "2020-01-01"}, "definition": {"endOfLifeDate": "2020-01-01"}},
        findings=(("Blocks", "EndOfLifePassed"), ("Blocks", "EndOfLifePassed")),
        says=("spec.version.endOfLifeDate: 2020-01-01", "spec.definition.endOfLifeDate: 2020-01-01"),
    ),
    "adopted": Case(adopted, {"version": {"tags": {"env": "prod"}}}, calls=("DeleteImage",)),
    "adopted-with-past": Case(adopted, {"version": {"endOfLifeDate": "2020-01-01"}}, calls=("DeleteImage",)),
    "adopted-region": Case(
        adopted,
        {
            "version": {
                "targetRegions": [{"name": "westeurope"}, {"name": "uksouth", "storageAccountType": "Premium_LRS"}]
            }
        },
        calls=("UpdateVersion", "DeleteImage"),
    ),
    "elsewhere": Case(
        partial(adopted, tags={"imageferry-cluster": "another"}),
        {"version": {"targetRegions": [{"name": "westeurope"}, {"name": "uksouth"}]}},
        findings=(("Blocks", "VersionOwnedElsewhere"),),
        says=("spec.version.targetRegions: uksouth is wanted",),
    ),
    "edited": Case(migrated, EDITED, calls=("UpdateVersion", "UpdateDefinition", "DeleteImage")),
    "edited-to-past": Case(
        migrated,
        manifests.merged(MIGRATED, {"version": {"endOfLifeDate": "2020-01-01"}}),
        findings=(("Blocks", "EndOfLifePassed"),),
        says=("spec.version.endOfLifeDate: 2020-01-01",),
    ),
}
BLOCKED = [name for name, case in CASES.items() if any(severity == "Blocks" for severity, _ in case.findings)]
FREE = [name for name in CASES if name not in BLOCKED]


@dataclass(frozen=True)
class Seen:
    """What was told, what had been sent by then, and what was sent after the switch to Migrate."""

    world: World
    planned: dict[str, Json]
    before: dict[str, list[Entry]]
    after: dict[str, list[Entry]]
    rows: str


@pytest.fixture(scope="module")
def here(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give one world to the whole module."""
    with shared.running_world(deployed, tmp_path_factory.mktemp("plan")) as world:
        yield world


def sent_for(world: World, name: str, *, since: int = 0) -> list[Entry]:
    """Return all PUTs and DELETEs for a case, its gallery included."""
    gallery = CASES[name].spec.get("gallery", {}).get("id", "no gallery")
    entries = world.azure.ledger.entries("galleries.createOrUpdate", resource=gallery, since=since)
    return [*entries, *sent(world, name, since=since)]


@pytest.fixture(scope="module")
def seen(here: World) -> Seen:
    """Plan all, look twice, then migrate what can be."""
    for name, case in CASES.items():
        case.given(here, name)
    mark = here.azure.ledger.mark()
    shared.apply_all(here, [manifests.migration(name, mode="Plan", **case.spec) for name, case in CASES.items()])
    until_phases(here, CASES, "Planned")
    look_again(here, *CASES)
    planned = statuses(here)
    before = {name: sent_for(here, name, since=mark) for name in CASES}
    rows = here.kubectl("get", "imig").stdout
    mark = here.azure.ledger.mark()
    shared.apply_all(here, [manifests.migration(name, **case.spec) for name, case in CASES.items()])
    shared.until_settled(here, FREE, "AwaitingVerification")
    until_phases(here, BLOCKED, "Stalled")
    after = {name: sent_for(here, name, since=mark) for name in CASES}
    return Seen(here, planned, before, after, rows)


@pytest.mark.parametrize("name", CASES)
def test_a_plan_sends_nothing(seen: Seen, name: str) -> None:
    """No PUT and no DELETE, however often it is looked at."""
    assert seen.before[name] == []


@pytest.mark.parametrize("name", CASES)
def test_a_plan_tells_the_calls_in_their_order(seen: Seen, name: str) -> None:
    """None where something blocks: then none would be made."""
    assert tuple(call["action"] for call in seen.planned[name].get("plan", [])) == CASES[name].calls


@pytest.mark.parametrize("name", CASES)
def test_a_plan_tells_what_it_found(seen: Seen, name: str) -> None:
    """With severity, field, finding and cure; PreflightPassed says whether something blocks."""
    case, status = CASES[name], seen.planned[name]
    found = status.get("findings", [])

    assert tuple((each["severity"], each["reason"]) for each in found) == case.findings
    text = "\n".join(each["message"] for each in found)
    assert [words for words in case.says if words not in text] == []
    assert conditions(status)["PreflightPassed"]["status"] == ("False" if name in BLOCKED else "True")


@pytest.mark.parametrize("name", CASES)
def test_a_plan_is_at_rest(seen: Seen, name: str) -> None:
    """Neither Reconciling nor Stalled, whatever was found; `kubectl get` shows Planned."""
    assert {"Reconciling", "Stalled"}.isdisjoint(conditions(seen.planned[name]))
    (row,) = [row.split() for row in seen.rows.splitlines() if row.startswith(f"{name} ")]
    assert row[1] == "Planned"


def flat(body: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Give the leaves of a body; entries of a list go by their name."""
    if isinstance(body, Mapping):
        for key, value in body.items():
            yield from flat(value, f"{path}.{key}" if path else key)
    elif isinstance(body, list):
        for index, value in enumerate(body):
            named = isinstance(value, Mapping) and "name" in value
            rest = {k: v for k, v in value.items() if k != "name"} if named else value
            yield from flat(rest, f"{path}.{value['name'] if named else index}")
    else:
        yield path, str(body).lower() if isinstance(body, bool) else str(body)


@pytest.mark.parametrize("name", FREE)
def test_migrate_sends_just_the_planned_calls(seen: Seen, name: str) -> None:
    """The same actions on the same resources in the same order; the deletion waits for a person."""
    calls = [call for call in seen.planned[name].get("plan", []) if call["action"] != "DeleteImage"]
    found = sorted(seen.after[name], key=lambda entry: entry.seq)

    assert [(entry.operation, str(entry.effect)) for entry in found] == [ACTIONS[call["action"]] for call in calls]
    assert [entry.resource_id.casefold() for entry in found] == [call["resource"].casefold() for call in calls]


@pytest.mark.parametrize("name", FREE)
def test_the_bodies_hold_the_planned_values(seen: Seen, name: str) -> None:
    """Creations: leaf by leaf, nothing more and nothing less. Updates: every changed field."""
    calls = [call for call in seen.planned[name].get("plan", []) if call["action"] != "DeleteImage"]
    for call, entry in zip(calls, sorted(seen.after[name], key=lambda entry: entry.seq), strict=True):
        body = dict(flat(entry.body))
        told = {each["field"]: each.get("to") for each in call["changes"]}
        if call["action"].startswith("Create"):
            assert told == body
        else:
            prefixed = body | {field.removeprefix("properties."): value for field, value in body.items()}
            assert {field: prefixed.get(field) for field in told} == told


def test_an_update_tells_every_field_with_both_values(seen: Seen) -> None:
    """What an added region is made of, too; what is taken out has no new value."""
    version, definition, _ = seen.planned["edited"]["plan"]
    region = "publishingProfile.targetRegions"

    assert {each["field"]: (each.get("from"), each.get("to")) for each in version["changes"]} == {
        "publishingProfile.excludeFromLatest": ("false", "true"),
        f"{region}.westeurope.regionalReplicaCount": ("1", "3"),
        "tags.env": ("test", "prod"),
        "tags.old": ("1", None),
        f"{region}.northeurope.regionalReplicaCount": (None, "2"),
        f"{region}.northeurope.storageAccountType": (None, "Premium_LRS"),
        f"{region}.northeurope.excludeFromLatest": (None, "false"),
        "tags.imageferry-added": (None, "northeurope"),
    }
    assert definition["changes"] == [{"field": "description", "from": "Old.", "to": "New."}]


@pytest.mark.parametrize("name", BLOCKED)
def test_what_a_plan_says_blocks_does_block(seen: Seen, name: str) -> None:
    """The same reason stalls the migration, before anything is sent."""
    said = conditions(statuses(seen.world)[name])["Stalled"]

    assert said["reason"] == CASES[name].findings[0][1]
    assert seen.after[name] == []


def test_what_was_planned_is_not_told_any_more(seen: Seen) -> None:
    """A migration under way has no plan, and no findings of a plan that do not hold."""
    status = statuses(seen.world)["image-alone"]

    assert {"plan", "findings"}.isdisjoint(status)


def test_a_running_migration_that_is_switched_to_plan_stops(here: World) -> None:
    """The version that is being built goes on in Azure and is told; the next mutation does not come."""
    cloud = here.azure.cloud
    durations = cloud.durations
    cloud.durations = replace(durations, version_create=LONG)
    image(here, "running")
    spec: Json = {"version": {"latest": "JoinWhenVerified"}}
    here.apply(manifests.migration("running", **spec))
    here.until_phase("running", "Creating")
    mark = here.azure.ledger.mark()
    here.apply(manifests.migration("running", mode="Plan", **spec))
    here.until_phase("running", "Planned")
    here.azure.clock.advance(LONG)
    cloud.durations = durations
    here.until("running", lambda s: s.get("replication", {}).get("summary") == "1/1", what="replication told")
    for _ in range(3):
        look_again(here, "running")
    here.server_side_status("running", {"conditions": [{"type": "Verified", "status": "True"}], "verification": {}})
    look_again(here, "running")

    status = here.status("running")
    assert sent(here, "running", since=mark) == []
    assert (status["phase"], status["version"].get("attempts")) == ("Planned", 1)
    assert "operation" not in status

    here.apply(manifests.migration("running", **spec))
    here.until_phase("running", "AwaitingVerification")
    assert sent(here, "running", since=mark) == []


def test_a_plan_is_made_anew_when_azure_changes(here: World) -> None:
    """It tells what is so now: a definition that somebody has created meanwhile is not planned any more."""
    image(here, "renewed")
    here.apply(manifests.migration("renewed", mode="Plan", **RETAIN))
    here.until_phase("renewed", "Planned")
    here.azure.cloud.put_definition("renewed", gallery=gallery_id())
    look_again(here, "renewed")
    assert [call["action"] for call in here.status("renewed")["plan"]] == ["CreateVersion"]
    assert here.azure.cloud.get(version_id("renewed")) is None
    assert here.azure.cloud.get(definition_id("renewed")) is not None
