"""What somebody else has, makes or changes in Azure is left alone; what cannot be carried out says why.

Drift, adopted resources, other clusters, regions beside ours, dates that have passed,
refusals and a second writer, one by one in one world.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from imageferry.simulator import Call
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
    change_in_azure,
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
from tests.manifests import Json, gallery_id, image_id

PAST = "2020-01-01"


SINGLE: dict[str, Json] = {
    "drifted": version(tags={"env": "test", "release": "1"}, targetRegions=[WEST], latest="Join"),
    "drifted-definition": definition(description="Ours.", recommended={"vCPUs": {"min": 2}}, tags={"env": "test"}),
    "adopted": {
        **version(replicaCount=3, latest="Exclude", tags={"env": "prod"}, endOfLifeDate="2040-01-01"),
        **definition(description="Ours.", tags={"env": "prod"}, recommended={"vCPUs": {"min": 2}}),
    },
    "elsewhere": {},
    "extra": version(tags={"env": "test"}),
    "past-in-azure": version(endOfLifeDate="2040-01-01", tags={"env": "test"}),
    "moved-to-past": version(endOfLifeDate="2040-01-01"),
    "definition-moved-to-past": definition(endOfLifeDate="2040-01-01"),
    "refused": {},
    "written-by-others": version(tags={"env": "test"}),
}


@pytest.fixture(scope="module")
def here(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give one world to the whole module."""
    with shared.running_world(deployed, tmp_path_factory.mktemp("drift")) as world:
        cloud = world.azure.cloud
        for name in SINGLE:
            cloud.put_image(name, group="legacy")
        for name in ("adopted", "elsewhere"):
            there = cloud.put_definition(name, gallery=gallery_id())
            tags = {"imageferry-cluster": "another"} if name == "elsewhere" else {"owner": "them"}
            cloud.put_version("1.0.0", definition=there, source=image_id(name), tags=tags)
        shared.apply_all(world, [manifests.migration(name, **spec) for name, spec in SINGLE.items()])
        shared.until_phases(world, SINGLE, "AwaitingVerification")
        yield world


def edit(world: World, name: str, spec: Json, *, phase: str = "AwaitingVerification") -> int:
    """Apply another spec and wait until it is carried out; gives the ledger's mark from before."""
    mark = world.azure.ledger.mark()
    world.apply(manifests.migration(name, **spec))
    shared.until_settled(world, [name], phase)
    return mark


def test_what_somebody_changes_in_azure_is_never_fought_over(here: World) -> None:
    """Replicas, latest and tags of a version; also not when another field is edited later."""

    def drift(body: Json) -> None:
        body["properties"]["publishingProfile"]["targetRegions"][0]["regionalReplicaCount"] = 7
        body["properties"]["publishingProfile"]["excludeFromLatest"] = True
        body["tags"] |= {"env": "theirs", "cost-centre": "42"}

    change_in_azure(here, version_id("drifted"), drift)
    mark = here.azure.ledger.mark()
    look_again(here, "drifted")
    look_again(here, "drifted")
    assert sent(here, "drifted", since=mark) == []

    mark = edit(here, "drifted", version(tags={"env": "test", "release": "2"}, targetRegions=[WEST], latest="Join"))
    assert len(sent(here, "drifted", since=mark)) == 1
    found = state(here, version_id("drifted"))
    paths = (f"{TARGETS}.0.regionalReplicaCount", EXCLUDED, "tags.env", "tags.cost-centre", "tags.release")
    assert [dig(found, path) for path in paths] == [7, True, "theirs", "42", "2"]


def test_drift_of_a_definition_is_left_alone_field_by_field(here: World) -> None:
    """Also inside a group of fields of which another one is edited."""

    def drift(body: Json) -> None:
        body["properties"]["description"] = "Theirs."
        body["properties"]["recommended"] |= {"memory": {"min": 8}}
        body["tags"] |= {"env": "theirs"}

    change_in_azure(here, definition_id("drifted-definition"), drift)
    mark = here.azure.ledger.mark()
    look_again(here, "drifted-definition")
    assert sent(here, "drifted-definition", since=mark) == []

    spec = definition(description="Ours.", recommended={"vCPUs": {"min": 4}}, tags={"env": "test"})
    mark = edit(here, "drifted-definition", spec)
    assert [entry.operation for entry in sent(here, "drifted-definition", since=mark)] == [PUT_DEFINITION]
    found = state(here, definition_id("drifted-definition"))
    assert dig(found, "properties.description") == "Theirs."
    assert dig(found, "properties.recommended") == {"vCPUs": {"min": 4}, "memory": {"min": 8}}
    assert dig(found, "tags.env") == "theirs"


def test_adopted_ones_only_get_the_regions_that_they_lack(here: World) -> None:
    """Neither their tags nor their replicas, latest, end of life or description become what the spec says."""
    assert sent(here, "adopted") == []
    before = state(here, version_id("adopted"))
    spec = SINGLE["adopted"]
    more = spec | version(**spec["version"], targetRegions=[WEST, {"name": "northeurope"}])
    mark = edit(here, "adopted", more | definition(description="Other."))

    assert [entry.operation for entry in sent(here, "adopted", since=mark)] == [PUT_VERSION]
    after = state(here, version_id("adopted"))
    assert after["tags"] == before["tags"]
    assert dig(after, f"{TARGETS}.0") == dig(before, f"{TARGETS}.0")
    assert dig(after, f"{TARGETS}.1.name") == "North Europe"
    unchanged = (EXCLUDED, END, f"{PROFILE}.replicaCount")
    assert [dig(after, path) for path in unchanged] == [dig(before, path) for path in unchanged]
    assert dig(state(here, definition_id("adopted")), "properties.description") is None


def test_a_version_of_another_cluster_is_left_alone(here: World) -> None:
    """A region that it lacks stalls with the field and both cures; nothing is sent."""
    wanted = regions(WEST, {"name": "northeurope"})
    here.apply(manifests.migration("elsewhere", **wanted))
    said = conditions(here.until_phase("elsewhere", "Stalled"))["Stalled"]

    assert said["reason"] == "VersionOwnedElsewhere"
    for words in ("spec.version.targetRegions: northeurope", "another cluster (another)", "take it out of this spec"):
        assert words in said["message"]
    edit(here, "elsewhere", regions(WEST))
    assert sent(here, "elsewhere") == []


def test_regions_that_the_spec_does_not_want_are_kept_and_told(here: World) -> None:
    """As Extra; they do not count, and an edit of something else keeps them."""

    def add(body: Json) -> None:
        body["properties"]["publishingProfile"]["targetRegions"].append({"name": "UK South", "regionalReplicaCount": 2})

    change_in_azure(here, version_id("extra"), add)
    look_again(here, "extra")
    status = here.status("extra")
    assert {each["name"]: each["state"] for each in status["replication"]["regions"]} == {
        "westeurope": "Completed",
        "uksouth": "Extra",
    }
    assert status["replication"]["summary"] == "1/1"

    mark = edit(here, "extra", version(tags={"env": "prod"}))
    assert len(sent(here, "extra", since=mark)) == 1
    found = state(here, version_id("extra"))
    assert [dig(found, f"{TARGETS}.1.{name}") for name in ("name", "regionalReplicaCount")] == ["UK South", 2]


def test_an_end_of_life_that_has_passed_matters_only_where_it_would_be_sent(here: World) -> None:
    """One that Azure has is left out of an update of something else, which Azure would refuse with it."""

    def retire(body: Json) -> None:
        body["properties"]["publishingProfile"]["endOfLifeDate"] = f"{PAST}T00:00:00Z"

    change_in_azure(here, version_id("past-in-azure"), retire)
    mark = edit(here, "past-in-azure", version(endOfLifeDate=PAST, tags={"env": "test"}))
    assert sent(here, "past-in-azure", since=mark) == []

    mark = edit(here, "past-in-azure", version(endOfLifeDate=PAST, tags={"env": "prod"}))
    (put,) = sent(here, "past-in-azure", since=mark)
    assert (put.status, dig(put.body, END)) == (200, None)


@pytest.mark.parametrize(
    ("name", "part", "there"),
    [("moved-to-past", "version", version_id), ("definition-moved-to-past", "definition", definition_id)],
)
def test_an_end_of_life_that_is_moved_to_the_past_stalls(here: World, name: str, part: str, there: Any) -> None:
    """Nothing is sent; a date to come is the cure."""
    mark = here.azure.ledger.mark()
    late: Json = {part: {"endOfLifeDate": PAST}}
    here.apply(manifests.migration(name, **late))
    said = conditions(here.until_phase(name, "Stalled"))["Stalled"]
    assert said["reason"] == "EndOfLifePassed"
    assert said["message"].startswith(f"spec.{part}.endOfLifeDate: {PAST}")
    assert sent(here, name, since=mark) == []

    edit(here, name, {part: {"endOfLifeDate": "2042-01-01"}})
    assert "2042-01-01T00:00:00Z" in str(state(here, there(name)))
    assert len(sent(here, name, since=mark)) == 1


def test_a_new_version_with_an_end_of_life_that_has_passed_stalls_before_anything_is_sent(here: World) -> None:
    """Its first PUT would carry it; an edit of the spec lets it go on."""
    here.azure.cloud.put_image("born-late", group="legacy")
    here.apply(manifests.migration("born-late", version={"endOfLifeDate": PAST}))
    said = conditions(here.until_phase("born-late", "Stalled"))["Stalled"]
    assert said["message"].startswith(f"spec.version.endOfLifeDate: {PAST} has passed")
    assert sent(here, "born-late") == []
    edit(here, "born-late", {})


def test_an_edit_that_azure_refuses_stalls_until_the_spec_is_corrected(here: World) -> None:
    """With the field, what Azure found, and the cure; the version itself is as it was."""
    before = state(here, version_id("refused"))
    mark = here.azure.ledger.mark()
    here.apply(manifests.migration("refused", **regions(WEST, {"name": "marsnorth"})))
    status = here.until_phase("refused", "Stalled")
    message = conditions(status)["Stalled"]["message"]
    assert message.startswith("spec.version: ")
    assert "'marsnorth' is not a region" in message
    assert message.endswith("; correct the spec")
    assert "Reconciling" not in conditions(status)
    assert {str(entry.effect) for entry in sent(here, "refused", since=mark)} == {"refused"}
    assert state(here, version_id("refused")) == before

    edit(here, "refused", regions(WEST, {"name": "northeurope"}))
    status = here.status("refused")
    assert "error" not in status
    assert status["replication"]["summary"] == "2/2"


def test_a_field_that_somebody_else_keeps_writing_stalls_after_three_updates(here: World) -> None:
    """Two writers would go on for ever; the message names the field and the cure."""
    resource = version_id("written-by-others")

    def undo(call: Call) -> None:
        if call.when == "after" and call.operation == PUT_VERSION and call.resource_id == resource:
            change_in_azure(here, resource, lambda body: body["tags"].update(env="theirs"))

    mark = here.azure.ledger.mark()
    here.azure.hooks.append(undo)
    try:
        here.apply(manifests.migration("written-by-others", **version(tags={"env": "prod"})))
        said = conditions(here.until_phase("written-by-others", "Stalled"))["Stalled"]
    finally:
        here.azure.hooks.remove(undo)
    assert said["reason"] == "UpdateDoesNotShow"
    assert "updated 3 times and does not show it (tags.env from theirs to prod)" in said["message"]
    assert len(sent(here, "written-by-others", since=mark)) == 3

    edit(here, "written-by-others", version(tags={"env": "theirs"}))
    assert len(sent(here, "written-by-others", since=mark)) == 3
