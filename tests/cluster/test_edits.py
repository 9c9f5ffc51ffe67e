"""A spec is edited over years: what Azure is sent then, before and after the source is deleted.

All edits of the table stand side by side, each twice: on a migration that waits for its
verification, and on one whose source is gone. PUTs are counted in the ledger.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from imageferry.simulator import Entry
from tests import manifests
from tests.cluster import shared
from tests.cluster.shared import (
    END,
    EXCLUDED,
    PROFILE,
    PUT_DEFINITION,
    PUT_VERSION,
    TARGETS,
    WEST,
    conditions,
    definition,
    definition_id,
    dig,
    look_again,
    regions,
    sent,
    state,
    version,
    version_id,
)
from tests.cluster.world import World
from tests.controlplane import ControlPlane
from tests.manifests import Json, image_id


@dataclass(frozen=True)
class Edit:
    """A spec before and after, what Azure then shows, and by how many PUTs."""

    before: Json
    after: Json
    shows: dict[str, Any]
    puts: int = 1
    later: tuple[dict[str, Any], int] | None = None
    """What it shows, and PUTs, where the source was verified and deleted before the edit; as before when absent."""
    of_definition: bool = False

    def expected(self, stage: str) -> tuple[dict[str, Any], int]:
        """Return what holds in a stage."""
        return self.later if self.later and stage == "gone" else (self.shows, self.puts)


EDITS: dict[str, Edit] = {
    "region-added": Edit(
        regions(WEST),
        regions(WEST, {"name": "northeurope", "regionalReplicaCount": 2, "storageAccountType": "Standard_ZRS"}),
        {
            f"{TARGETS}.0.name": "West Europe",
            f"{TARGETS}.1.name": "North Europe",
            f"{TARGETS}.1.regionalReplicaCount": 2,
            f"{TARGETS}.1.storageAccountType": "Standard_ZRS",
        },
    ),
    "replicas-of-a-region": Edit(
        regions(WEST | {"regionalReplicaCount": 1}, {"name": "uksouth"}),
        regions(WEST | {"regionalReplicaCount": 3}, {"name": "uksouth"}),
        {f"{TARGETS}.0.regionalReplicaCount": 3, f"{TARGETS}.1.regionalReplicaCount": 1},
    ),
    "replicas-by-default": Edit(
        version(replicaCount=1, targetRegions=[WEST, {"name": "uksouth", "regionalReplicaCount": 4}]),
        version(replicaCount=2, targetRegions=[WEST, {"name": "uksouth", "regionalReplicaCount": 4}]),
        {
            f"{PROFILE}.replicaCount": 2,
            f"{TARGETS}.0.regionalReplicaCount": 2,
            f"{TARGETS}.1.regionalReplicaCount": 4,
        },
    ),
    "region-excluded": Edit(
        regions(WEST),
        regions(WEST | {"excludeFromLatest": True}),
        {f"{TARGETS}.0.excludeFromLatest": True, EXCLUDED: False},
    ),
    "join-to-exclude": Edit(version(latest="Join"), version(latest="Exclude"), {EXCLUDED: True}),
    "exclude-to-join": Edit(version(latest="Exclude"), version(latest="Join"), {EXCLUDED: False}),
    "exclude-to-when-verified": Edit(
        version(latest="Exclude"),
        version(latest="JoinWhenVerified"),
        {EXCLUDED: True},
        puts=0,
        later=({EXCLUDED: False}, 1),
    ),
    "when-verified-to-join": Edit(
        version(latest="JoinWhenVerified"),
        version(latest="Join"),
        {EXCLUDED: False},
        later=({EXCLUDED: False}, 0),
    ),
    "when-verified-to-exclude": Edit(
        version(latest="JoinWhenVerified"),
        version(latest="Exclude"),
        {EXCLUDED: True},
        puts=0,
        later=({EXCLUDED: True}, 1),
    ),
    "join-to-when-verified": Edit(
        version(latest="Join"), version(latest="JoinWhenVerified"), {EXCLUDED: False}, puts=0
    ),
    "tag-added": Edit(version(), version(tags={"env": "prod"}), {"tags.env": "prod"}),
    "tag-changed": Edit(version(tags={"env": "test"}), version(tags={"env": "prod"}), {"tags.env": "prod"}),
    "tag-removed": Edit(
        version(tags={"env": "test", "team": "web"}),
        version(tags={"team": "web"}),
        {"tags.env": None, "tags.team": "web"},
    ),
    "all-tags-removed": Edit(version(tags={"env": "test"}), version(), {"tags.env": None}),
    "end-moved": Edit(
        version(endOfLifeDate="2040-01-01"), version(endOfLifeDate="2041-01-01"), {END: "2041-01-01T00:00:00Z"}
    ),
    "end-written-otherwise": Edit(
        version(endOfLifeDate="2040-01-01"),
        version(endOfLifeDate="2040-01-01T02:00:00+02:00"),
        {END: "2040-01-01T00:00:00Z"},
        puts=0,
    ),
    "deletion-blocked": Edit(
        version(endOfLifeDate="2040-01-01"),
        version(endOfLifeDate="2040-01-01", safetyProfile={"blockDeletionBeforeEndOfLife": True}),
        {"properties.safetyProfile.blockDeletionBeforeEndOfLife": True, END: "2040-01-01T00:00:00Z"},
    ),
    "many-at-once": Edit(
        version(tags={"env": "test"}, targetRegions=[WEST]),
        version(tags={"env": "prod"}, replicaCount=2, latest="Exclude", targetRegions=[WEST, {"name": "northeurope"}]),
        {
            "tags.env": "prod",
            EXCLUDED: True,
            f"{TARGETS}.0.regionalReplicaCount": 2,
            f"{TARGETS}.1.name": "North Europe",
        },
    ),
    "unset": Edit(
        version(
            endOfLifeDate="2040-01-01",
            safetyProfile={"blockDeletionBeforeEndOfLife": True},
            targetRegions=[WEST, {"name": "uksouth"}],
        ),
        version(targetRegions=[WEST]),
        {
            END: "2040-01-01T00:00:00Z",
            "properties.safetyProfile.blockDeletionBeforeEndOfLife": True,
            f"{TARGETS}.1.name": "UK South",
        },
        puts=0,
    ),
    "definition-described": Edit(
        definition(description="Old."),
        definition(description="New.", releaseNoteUri="https://contoso.example/2"),
        {"properties.description": "New.", "properties.releaseNoteUri": "https://contoso.example/2"},
        of_definition=True,
    ),
    "definition-description-emptied": Edit(
        definition(description="Old."), definition(description=""), {"properties.description": ""}, of_definition=True
    ),
    "definition-tags": Edit(
        definition(tags={"env": "test", "team": "web"}),
        definition(tags={"env": "prod", "owner": "me"}),
        {"tags.env": "prod", "tags.team": None, "tags.owner": "me"},
        of_definition=True,
    ),
    "definition-sizes": Edit(
        definition(recommended={"vCPUs": {"min": 2}}),
        definition(
            recommended={"vCPUs": {"min": 4}, "memory": {"max": 64}}, disallowed={"diskTypes": ["Standard_LRS"]}
        ),
        {
            "properties.recommended.vCPUs.min": 4,
            "properties.recommended.memory.max": 64,
            "properties.disallowed.diskTypes": ["Standard_LRS"],
        },
        of_definition=True,
    ),
    "definition-end": Edit(
        definition(endOfLifeDate="2040-01-01"),
        definition(endOfLifeDate="2041-01-01"),
        {"properties.endOfLifeDate": "2041-01-01T00:00:00Z"},
        of_definition=True,
    ),
    "definition-unset": Edit(
        definition(description="Old.", recommended={"vCPUs": {"min": 2}}, endOfLifeDate="2040-01-01"),
        definition(),
        {"properties.description": "Old.", "properties.recommended.vCPUs.min": 2},
        puts=0,
        of_definition=True,
    ),
}
STAGES = ("waiting", "gone")
PHASES = {"waiting": "AwaitingVerification", "gone": "Completed"}
CASES = [pytest.param(name, stage, id=f"{name}-{stage}") for name in EDITS for stage in STAGES]


@dataclass
class Seen:
    """A world in which all edits of the table were made."""

    world: World
    mark: int = 0
    puts: dict[str, list[Entry]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def here(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give one world to the whole module."""
    with shared.running_world(deployed, tmp_path_factory.mktemp("edits")) as world:
        yield world


@pytest.fixture(scope="module")
def edited(here: World) -> Seen:
    """Let all of the table stand, delete half of the sources, edit all, and let all come to rest."""
    names = {f"{name}-{stage}": (EDITS[name], stage) for name in EDITS for stage in STAGES}
    for name in names:
        here.azure.cloud.put_image(name, group="legacy")
    shared.apply_all(here, [manifests.migration(name, **edit.before) for name, (edit, _) in names.items()])
    shared.until_phases(here, names, "AwaitingVerification")
    gone = [name for name, (_, stage) in names.items() if stage == "gone"]
    shared.verify_all(here, gone)
    shared.until_settled(here, gone, "Completed")
    seen = Seen(here, here.azure.ledger.mark())
    shared.apply_all(here, [manifests.migration(name, **edit.after) for name, (edit, _) in names.items()])
    for stage, phase in PHASES.items():
        shared.until_settled(here, [name for name in names if name.endswith(f"-{stage}")], phase)
    look_again(here, *names)
    seen.puts = {name: sent(here, name, since=seen.mark) for name in names}
    return seen


@pytest.mark.parametrize(("name", "stage"), CASES)
def test_an_edit_is_what_azure_shows_in_the_end(edited: Seen, name: str, stage: str) -> None:
    """Before and after the deletion of the source alike."""
    edit, subject = EDITS[name], f"{name}-{stage}"
    wanted, _ = edit.expected(stage)
    found = state(edited.world, definition_id(subject) if edit.of_definition else version_id(subject))

    assert {path: dig(found, path) for path in wanted} == wanted
    assert edit.of_definition or dig(found, "properties.storageProfile.source.id") == image_id(subject)


@pytest.mark.parametrize(("name", "stage"), CASES)
def test_an_edit_is_one_put(edited: Seen, name: str, stage: str) -> None:
    """However many fields it has; none when Azure is as the spec now wants it, and nothing else is sent."""
    edit = EDITS[name]
    operation = PUT_DEFINITION if edit.of_definition else PUT_VERSION
    found = [(entry.operation, str(entry.effect)) for entry in edited.puts[f"{name}-{stage}"]]

    assert found == [(operation, "updated")] * edit.expected(stage)[1]


@pytest.mark.parametrize("stage", STAGES)
def test_an_added_region_is_waited_for_and_its_verification_stands(edited: Seen, stage: str) -> None:
    """Replicated is said again once the new region is Completed; nobody has to verify again."""
    status = edited.world.status(f"region-added-{stage}")

    assert status["replication"]["summary"] == "2/2"
    assert {each["state"] for each in status["replication"]["regions"]} == {"Completed"}
    assert conditions(status)["Replicated"]["status"] == "True"
    assert conditions(status).get("Verified", {}).get("status") == ("True" if stage == "gone" else None)
