"""What users of this migration complain about (fact sheet, section 11, the first sixteen): tests by number.

Each shows that this product does not have it, or that it explains it before anything is written in Azure. Sources are
those of the sheet. All stand side by side under one operator.
"""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from imageferry.simulator import SUBSCRIPTION, Answer, FailOperation, FailRegion, Fault, Stale
from tests import manifests
from tests.cli.conftest import COMMAND
from tests.cluster import shared
from tests.cluster.shared import (
    PUT_DEFINITION,
    PUT_GALLERY,
    PUT_VERSION,
    conditions,
    definition_id,
    dig,
    sent,
    state,
    version_id,
)
from tests.cluster.test_looks import delete
from tests.cluster.test_preflight import FULL, MACHINES, MOST, set_rules
from tests.cluster.world import World
from tests.controlplane import ControlPlane
from tests.manifests import Json, gallery_id, image_id
from tests.operator_process import CLIENT_ID

TARGETS = "properties.publishingProfile.targetRegions"
OTHER, UNREADABLE = "00000000-0000-0000-0000-0000000000bb", "00000000-0000-0000-0000-0000000000cc"
BOTH = [{"name": "westeurope"}, {"name": "northeurope"}]


@pytest.fixture(scope="module")
def here(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give one world to the whole module, its operator running with rights in two subscriptions of three."""
    with shared.running_world(deployed, tmp_path_factory.mktemp("complaints")) as world:
        for subscription in (SUBSCRIPTION, OTHER):
            world.azure.cloud.assign(CLIENT_ID, {"Actions": ["*"]}, scope=f"/subscriptions/{subscription}")
        yield world


def begin(world: World, name: str, **spec: Any) -> None:
    """Let a Linux image of generation 2 in West Europe exist, unless there is one, and apply a migration of it."""
    if world.azure.cloud.get(image_id(name)) is None:
        world.azure.cloud.put_image(name, group="legacy")
    world.apply(manifests.migration(name, **spec))


def complete(world: World, name: str) -> Json:
    """Take a migration to its end; gives the last status."""
    world.wait(lambda: world.verify_what_waits()[name] == "Completed", what=f"{name} completed")
    return world.status(name)


def stalled(world: World, name: str) -> str:
    """Wait until it stalls with nothing sent; gives what it says."""
    said = conditions(world.until_phase(name, "Stalled"))["Stalled"]
    assert sent(world, name) == []
    return str(said["message"])


def found_before_the_first_write(world: World, name: str) -> dict[str, str]:
    """Return the messages of what was found, by reason, in the status that announced the first write to Azure."""
    announced = next(status for status in reported(world, name) if status.get("operation"))
    return {each["reason"]: each["message"] for each in announced.get("findings", [])}


def reported(world: World, name: str) -> list[Json]:
    """Return every status that was written, oldest first."""
    return [(entry.response or {}).get("status", {}) for entry in world.writes(name)]


def test_01_a_generation_mismatch_does_not_fail_after_an_accepted_put_and_no_default_flips(here: World) -> None:
    """[docs118774][runner13548][ppa42][azhop1044][coco928][ib1630][docs189]."""
    here.azure.cloud.put_image("mismatch", group="legacy", hyper_v_generation="V1")
    here.azure.cloud.put_definition("mismatch", gallery=gallery_id(), hyper_v_generation="V2")
    here.azure.cloud.put_image("old", group="legacy", hyper_v_generation=None)
    begin(here, "mismatch")
    begin(here, "old")

    message = stalled(here, "mismatch")
    assert message.startswith("spec.definition.name: ")
    assert all(word in message for word in ("hyperVGeneration", "V1", "V2", "name another definition"))
    here.until_phase("old", "AwaitingVerification")
    properties = state(here, definition_id("old"))["properties"]
    assert properties["hyperVGeneration"] == "V1"
    assert {"name": "SecurityType", "value": "Standard"} in sent(here, "old")[0].body["properties"]["features"]  # type: ignore[index]


def test_02_definition_and_gallery_need_not_exist_first(here: World) -> None:
    """[ppa69]."""
    made = gallery_id("made")
    begin(here, "first", gallery={"id": made, "create": {"location": "westeurope"}})
    begin(here, "absent", gallery={"id": gallery_id("absent")})

    here.until_phase("first", "AwaitingVerification")
    mutations = here.azure.ledger.mutations(resource="/galleries/made")
    assert [entry.operation for entry in mutations] == [PUT_GALLERY, PUT_DEFINITION, PUT_VERSION]
    message = stalled(here, "absent")
    assert message.startswith("spec.gallery.id: ")
    assert "spec.gallery.create" in message


def test_03_the_source_region_need_not_be_known_or_listed(here: World) -> None:
    """[docs44544][ts]."""
    here.azure.cloud.put_image("north", group="legacy", location="northeurope")
    begin(here, "north", version={"targetRegions": [{"name": "uksouth"}]})

    here.until_phase("north", "AwaitingVerification")
    version = state(here, version_id("north"))
    assert version["location"] == "northeurope"
    assert {each["name"] for each in dig(version, TARGETS)} == {"North Europe", "UK South"}


def test_04_replication_is_not_opaque_and_no_timeout_ends_it(here: World) -> None:
    """[cli15539][cli16632][p7865][p8802][ab742]."""
    begin(here, "slow", version={"targetRegions": [{"name": "westeurope"}, {"name": "northeurope"}]})

    here.until_phase("slow", "AwaitingVerification")
    told = [status["replication"] for status in reported(here, "slow") if status.get("replication")]
    under_way = [each for each in told if any(region["state"] == "Replicating" for region in each["regions"])]
    assert under_way, "progress was shown before the end"
    assert {region["name"] for region in under_way[0]["regions"]} == {"westeurope", "northeurope"}
    assert all(0 <= region["progress"] <= 100 for each in told for region in each["regions"])
    assert told[-1]["summary"] == "2/2"


def test_04_a_region_that_failed_is_added_again_without_a_person(here: World) -> None:
    """One region fails the whole operation in Azure: it is removed and added again, and the version stays."""
    failing = FailRegion("northeurope", "no space", code="ReplicationFailed")
    here.azure.faults.add(Fault(PUT_VERSION, failing, resource="/images/one-fails/", skip=1, times=1))
    begin(here, "one-fails")
    here.until_phase("one-fails", "AwaitingVerification")

    here.apply(manifests.migration("one-fails", version={"targetRegions": BOTH}))
    shared.until_settled(here, ["one-fails"], "AwaitingVerification")
    puts = here.azure.ledger.mutations(PUT_VERSION, resource="/images/one-fails/")
    asked = [[each["name"] for each in dig(entry.body, TARGETS)] for entry in puts]
    assert asked == [["westeurope"], ["westeurope", "northeurope"], ["westeurope"], ["westeurope", "northeurope"]]
    assert here.condition("one-fails", "Replicated")["status"] == "True"
    assert here.azure.ledger.count("galleryImageVersions.delete", resource="/images/one-fails/") == 0


def test_04_a_replication_that_is_stuck_is_told_and_goes_on(here: World) -> None:
    """Azure stands still for hours: the regions and what to do are told, and nothing is sent for it."""
    begin(here, "stuck", version={"targetRegions": BOTH})
    here.until("stuck", lambda status: status.get("replication"), what="copies under way")
    here.azure.clock.freeze()
    mark = here.azure.ledger.mark()
    try:
        status = here.until_phase("stuck", "Stalled", within=150)
    finally:
        here.azure.clock.resume()
    said = conditions(status)["Stalled"]
    assert said["reason"] == "ReplicationStuck"
    assert all(words in said["message"] for words in ("northeurope (Replicating, ", "ask Azure's support"))
    here.until_phase("stuck", "AwaitingVerification")
    assert sent(here, "stuck", since=mark) == []


def test_05_succeeded_is_not_taken_for_usable(here: World) -> None:
    """[ab8373]: the operation is over, a region is not, and a machine there fails with GalleryImageNotFound."""
    source = here.azure.cloud.put_image("lagging", group="legacy")
    here.azure.cloud.put_definition("lagging", gallery=gallery_id())
    profile = {"targetRegions": [{"name": "westeurope"}, {"name": "northeurope"}]}
    summary = [{"region": "northeurope", "state": "Replicating"}]
    storage, status = {"source": {"id": source}}, {"summary": summary}
    properties = {"publishingProfile": profile, "storageProfile": storage, "replicationStatus": status}
    here.azure.clock.freeze()
    try:
        here.azure.cloud.put(version_id("lagging"), {"location": "westeurope", "properties": properties})
        begin(here, "lagging", version={"targetRegions": profile["targetRegions"]})
        here.until("lagging", lambda status: status.get("replication"), what="the region that lags is told")
    finally:
        here.azure.clock.resume()
    here.until_phase("lagging", "AwaitingVerification")
    lagging = [each for each in reported(here, "lagging") if each.get("replication", {}).get("summary") == "1/2"]
    assert lagging[0]["version"]["provisioningState"] == "Succeeded"
    assert {conditions(each)["Replicated"]["status"] for each in lagging} == {"False"}
    assert {conditions(each)["Ready"]["status"] for each in lagging} == {"False"}


def test_06_stale_answers_and_the_order_of_deletions_mislead_nobody(here: World) -> None:
    """[rs11559][rs19686][py25506]: ARM says 404 for what it has just made, and shows what is gone."""
    for operation in ("galleryImages.get", "galleryImageVersions.get"):
        here.azure.faults.add(Fault(operation, Stale("missing"), resource="/images/stale", times=4))
    here.azure.faults.add(Fault("images.get", Stale("deleted"), resource="/images/stale", times=3))
    begin(here, "stale")

    assert complete(here, "stale")["deletion"]["receipt"]["outcome"] == "Deleted"
    effects = [entry.operation for entry in here.azure.ledger.mutations(resource="/images/stale")]
    assert effects == [PUT_DEFINITION, PUT_VERSION, "images.delete"]
    assert here.azure.ledger.count("galler*.delete") == 0, "nothing that has children is ever deleted"


def test_07_a_version_number_that_is_taken_is_told_before_anything_is_sent(here: World) -> None:
    """[ppa183][ppa65][p8291][bosh720]."""
    definition = here.azure.cloud.put_definition("taken", gallery=gallery_id())
    other = here.azure.cloud.put_image("holder", group="legacy")
    here.azure.cloud.put_version("1.0.0", definition=definition, source=other)
    begin(here, "taken")

    message = stalled(here, "taken")
    assert message.startswith("spec.version.name: version 1.0.0 exists and was built from ")
    assert "name another version" in message
    assert state(here, version_id("taken"))["properties"]["storageProfile"]["source"]["id"] == other


def test_07_a_deleted_version_that_is_kept_is_told_before_anything_is_sent(here: World) -> None:
    """A PUT of its number would bring the old bits back."""
    gallery = here.azure.cloud.put_gallery("keeping", group="gallery", soft_delete=True)
    source = here.azure.cloud.put_image("kept", group="legacy")
    definition = here.azure.cloud.put_definition("kept", gallery=gallery)
    here.azure.cloud.put_version("1.0.0", definition=definition, source=source)
    version = version_id("kept", gallery="keeping")
    asyncio.run(delete(here.azure, version))
    mark = here.azure.ledger.mark()
    begin(here, "kept", gallery={"id": gallery})

    said = conditions(here.until_phase("kept", "Stalled"))["Stalled"]
    assert said["reason"] == "VersionSoftDeleted"
    assert f"Purge it (DELETE {version}?bypassSoftDelete=true)" in said["message"]
    assert sent(here, "kept", since=mark) == []


def test_07_a_build_of_ours_that_failed_is_built_again_under_its_number(here: World) -> None:
    """One that was never Completed anywhere: it is deleted and built again, while its image is there."""
    here.azure.faults.add(Fault(PUT_VERSION, FailOperation(), resource="/images/rebuilt/", times=1))
    begin(here, "rebuilt")

    status = here.until_phase("rebuilt", "AwaitingVerification")
    mutations = here.azure.ledger.mutations(resource="/images/rebuilt/versions/1.0.0")
    assert [entry.operation for entry in mutations] == [PUT_VERSION, "galleryImageVersions.delete", PUT_VERSION]
    assert status["version"]["attempts"] == 2
    assert here.azure.cloud.get(image_id("rebuilt")) is not None


def test_08_an_image_of_another_subscription_that_may_not_be_read_is_told_before_anything_is_sent(here: World) -> None:
    """[cli30976][docs68563]: the read that Azure will make for the version is made first, by the same identity."""
    source = here.azure.cloud.put_image("unread", group="legacy", subscription=UNREADABLE)
    begin(here, "unread", source={"managedImageId": source})

    message = stalled(here, "unread")
    assert source in message
    assert f"images/read in {UNREADABLE}" in message
    assert "give the operator's identity the role" in message
    here.azure.cloud.assign(CLIENT_ID, {"Actions": ["*"]}, scope=f"/subscriptions/{UNREADABLE}")
    here.until_phase("unread", "AwaitingVerification")
    assert "images/read in" in found_before_the_first_write(here, "unread")["SourceInAnotherSubscription"]


def test_08_a_missing_right_that_only_the_put_meets_is_named_with_its_cure(here: World) -> None:
    """[docs114801][bicep17206]: no version is made, and it goes on when the right is there."""
    source = here.azure.cloud.put_image("unlinked", group="legacy", subscription=OTHER)
    scope = f"does not have authorization to perform action 'Microsoft.Compute/images/read' over scope '{source}'"
    answer = Answer(403, "LinkedAuthorizationFailed", scope)
    refused = here.azure.faults.add(Fault(PUT_VERSION, answer, resource="/images/unlinked"))
    begin(here, "unlinked", source={"managedImageId": source})

    error = here.until("unlinked", lambda status: status.get("error"), what="the refusal")["error"]
    assert error["code"] == "LinkedAuthorizationFailed"
    assert all(words in error["message"] for words in (source, "the linked resource"))
    assert here.azure.ledger.count(effect="created", resource="/images/unlinked/versions") == 0
    here.azure.faults.remove(refused)
    here.until_phase("unlinked", "AwaitingVerification")


def test_09_display_names_of_regions_are_no_difference(here: World) -> None:
    """[tf7751][tf12332]."""
    begin(here, "display", version={"targetRegions": [{"name": "westeurope"}, {"name": "northeurope"}]})
    here.until_phase("display", "AwaitingVerification")
    assert {each["name"] for each in dig(state(here, version_id("display")), TARGETS)} == {
        "West Europe",
        "North Europe",
    }

    shared.look_again(here, "display")
    shared.look_again(here, "display")
    assert here.azure.ledger.count(PUT_VERSION, resource="/images/display/") == 1
    assert {each["state"] for each in here.status("display")["replication"]["regions"]} == {"Completed"}
    said = here.refused(manifests.migration("shown", regions=["West Europe"]))
    assert "must be the short name of an Azure region, such as westeurope" in said


def test_10_regions_that_somebody_else_adds_are_not_lost(here: World) -> None:
    """[ab8823]: an update carries the whole set, as it stands in Azure at that moment."""
    begin(here, "together")
    here.until_phase("together", "AwaitingVerification")
    shared.change_in_azure(here, version_id("together"), lambda body: dig(body, TARGETS).append({"name": "uksouth"}))

    here.apply(manifests.migration("together", regions=["westeurope", "northeurope"]))
    shared.until_settled(here, ["together"], "AwaitingVerification")
    version = state(here, version_id("together"))
    assert {each["name"] for each in dig(version, TARGETS)} == {"West Europe", "North Europe", "UK South"}
    assert dig(version, "properties.safetyProfile.allowDeletionOfReplicatedLocations") is False


def test_11_limits_of_replicas_and_size_are_told_with_their_numbers(here: World) -> None:
    """[docs86681][docs87760][docs113012][docs123916]."""
    here.azure.cloud.put_image("huge", group="legacy", data_disks=(2049,))
    here.azure.cloud.put_image("large", group="legacy", data_disks=(1500,))
    begin(here, "huge")
    begin(here, "large")

    assert "less than or equal to 100" in here.refused(manifests.migration("many", version={"replicaCount": 101}))
    message = stalled(here, "huge")
    assert all(word in message for word in ("2049", "2048", "Shallow"))
    here.until_phase("large", "AwaitingVerification")
    passed = here.condition("large", "PreflightPassed")
    assert (passed["status"], "1500" in passed["message"], "1023" in passed["message"]) == ("True", True, True)


def test_11_a_quota_that_is_used_up_is_told_before_anything_is_sent(here: World) -> None:
    """With the number, the subscription and the region; it goes on once there is room."""
    before = here.azure.cloud.rules.quotas
    crowd = here.azure.cloud.put_definition("crowd", gallery=gallery_id(), location=FULL)
    for number in range(MOST):
        here.azure.cloud.put_version(f"0.0.{number}", definition=crowd, location=FULL)
    here.azure.cloud.put_image("full", group="legacy", location=FULL)
    set_rules(here, quotas={"GalleryImageVersion": MOST})
    begin(here, "full")

    message = stalled(here, "full")
    assert f"all {MOST} image versions that subscription {SUBSCRIPTION} may have in {FULL}" in message
    assert "ask Azure for more" in message
    set_rules(here, quotas=before)
    here.until_phase("full", "AwaitingVerification")


def discovered(world: World, folder: Path, group: str) -> list[Json]:
    """Return the manifests that the plugin writes for all images of a group."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        **{name: value for name, value in world.operator.settings.environment().items() if name.startswith("IMAGE")},
    }
    words = ("discover", "--subscription", SUBSCRIPTION, "--resource-group", group, "--gallery", gallery_id())
    done = subprocess.run(
        [str(COMMAND), *words], env=environment, capture_output=True, text=True, timeout=90, check=True
    )
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def test_12_an_inventory_and_a_migration_of_each_image_is_one_command(here: World, tmp_path: Path) -> None:
    """[howto][clidoc]: no loop over `az image list`; what it writes is applied as it is."""
    names = [f"found-{n}" for n in range(4)]
    for name in names:
        here.azure.cloud.put_image(name, group="inventory")

    found = discovered(here, tmp_path, "inventory")
    assert [each["metadata"]["name"] for each in found] == names
    shared.apply_all(here, found)
    shared.until_phases(here, names, "AwaitingVerification")


def test_13_nothing_is_deleted_by_accident(here: World) -> None:
    """[new][cli34074]: not without a verification, not with the resource, and not before its end of life."""
    safety = {"safetyProfile": {"blockDeletionBeforeEndOfLife": True}, "endOfLifeDate": "2099-01-01T00:00:00Z"}
    begin(here, "safe", version=safety)
    here.until_phase("safe", "AwaitingVerification")
    shared.look_again(here, "safe")
    here.kubectl("delete", "imig", "safe")

    version = state(here, version_id("safe"))
    assert dig(version, "properties.safetyProfile.blockDeletionBeforeEndOfLife") is True
    assert dig(version, "properties.safetyProfile.allowDeletionOfReplicatedLocations") is False
    assert here.azure.ledger.count("*.delete", resource="/images/safe") == 0
    assert here.azure.cloud.get(image_id("safe")) is not None


def test_14_what_holds_a_deletion_is_named_and_waited_out(here: World) -> None:
    """A lock before the first write; a machine that hangs, at the deletion: by name, and nobody has to poke it."""
    text = "Cannot delete the image: virtual machines are being provisioned from it: 'hung-vm'."
    code = "OperationNotAllowedOnVMImageAsVMsBeingProvisioned"
    held = here.azure.faults.add(Fault("images.delete", Answer(409, code, text), resource="/images/held"))
    lock = here.azure.cloud.put_lock("keep", scope=image_id("locked"))
    for name in ("held", "locked"):
        begin(here, name)

    def told() -> dict[str, str]:
        here.verify_what_waits()
        return {name: here.status(name).get("error", {}).get("message", "") for name in ("held", "locked")}

    here.wait(lambda: all(told().values()), what="both told")
    warned = found_before_the_first_write(here, "locked")["SourceLocked"]
    assert all(words in warned for words in ("the lock keep on", image_id("locked"), "will stop the deletion"))
    assert "SourceLocked" not in found_before_the_first_write(here, "held")
    assert "'hung-vm'" in told()["held"]
    assert "a machine that hangs has to be deleted by hand" in told()["held"]
    assert "remove the lock in Azure" in told()["locked"]
    assert {here.condition(name, "Ready")["status"] for name in told()} == {"True"}
    here.azure.faults.remove(held)
    here.azure.cloud.remove_lock(lock)
    for name in ("held", "locked"):
        assert complete(here, name)["deletion"]["receipt"]["outcome"] == "Deleted"
        assert here.azure.ledger.count("images.delete", effect="accepted", resource=f"/images/{name}") == 1


def test_15_lists_are_read_to_their_end(here: World, tmp_path: Path) -> None:
    """[ps10860]: fifty a page."""
    names = [f"page-{n:03d}" for n in range(120)]
    for name in names:
        here.azure.cloud.put_image(name, group="pages")

    assert [each["metadata"]["name"] for each in discovered(here, tmp_path, "pages")] == names


def test_16_a_marketplace_plan_is_not_lost_on_the_way(here: World) -> None:
    """Given, or read from the machine that was captured; a definition without it is told before anything is sent."""
    plan = {"name": "plan", "publisher": "contoso", "product": "web"}
    here.azure.cloud.put_definition("planless", gallery=gallery_id())
    for name in ("captured", "planless"):
        machine = here.azure.cloud.put(f"{MACHINES}/{name}", {"location": "westeurope", "plan": plan, "properties": {}})
        here.azure.cloud.put_image(name, group="legacy", source_virtual_machine=machine)
        begin(here, name)
    begin(here, "given", definition={"purchasePlan": plan})

    for name in ("captured", "given"):
        here.until_phase(name, "AwaitingVerification")
        assert state(here, definition_id(name))["properties"]["purchasePlan"] == plan
    assert "contoso" in found_before_the_first_write(here, "captured")["PurchasePlanRead"]
    message = stalled(here, "planless")
    assert all(word in message for word in ("purchasePlan", "contoso", "name another definition"))
