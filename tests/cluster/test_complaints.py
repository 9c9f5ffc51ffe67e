"""What users of this migration complain about (fact sheet, section 11, the first sixteen), one test for each.

Each shows that this product does not have it, or that it explains it before anything is written in Azure. Sources are
those of the sheet. All stand side by side under one operator.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from imageferry.simulator import SUBSCRIPTION, Answer, Fault, Stale
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
from tests.cluster.world import World
from tests.controlplane import ControlPlane
from tests.manifests import Json, gallery_id, image_id

TARGETS = "properties.publishingProfile.targetRegions"
OTHER = "00000000-0000-0000-0000-0000000000bb"


@pytest.fixture(scope="module")
def here(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give one world to the whole module, its operator running."""
    with shared.running_world(deployed, tmp_path_factory.mktemp("complaints")) as world:
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


def test_05_succeeded_is_not_taken_for_usable(here: World) -> None:
    """[ab8373]: the operation is over, a region is not, and a machine there fails with GalleryImageNotFound."""
    source = here.azure.cloud.put_image("lagging", group="legacy")
    here.azure.cloud.put_definition("lagging", gallery=gallery_id())
    profile = {"targetRegions": [{"name": "westeurope"}, {"name": "northeurope"}]}
    summary = [{"region": "northeurope", "state": "Replicating"}]
    storage, status = {"source": {"id": source}}, {"summary": summary}
    properties = {"publishingProfile": profile, "storageProfile": storage, "replicationStatus": status}
    here.azure.cloud.put(version_id("lagging"), {"location": "westeurope", "properties": properties})
    begin(here, "lagging", version={"targetRegions": profile["targetRegions"]})

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


@pytest.mark.parametrize(
    ("name", "operation", "code", "cure"),
    [
        pytest.param("unread", "images.get", "AuthorizationFailed", "give the operator's identity the role", id="read"),
        pytest.param("unlinked", PUT_VERSION, "LinkedAuthorizationFailed", "the linked resource", id="linked"),
    ],
)
def test_08_a_missing_right_in_another_subscription_is_named_with_its_cure(
    here: World, name: str, operation: str, code: str, cure: str
) -> None:
    """[cli30976][docs68563][docs114801][bicep17206]: nothing takes effect, and it goes on when the right is there."""
    source = here.azure.cloud.put_image(name, group="legacy", subscription=OTHER)
    scope = f"does not have authorization to perform action 'Microsoft.Compute/images/read' over scope '{source}'"
    refused = here.azure.faults.add(Fault(operation, Answer(403, code, scope), resource=f"/images/{name}"))
    begin(here, name, source={"managedImageId": source})

    error = here.until(name, lambda status: status.get("error"), what="the refusal")["error"]
    assert (error["code"], source in error["message"], cure in error["message"]) == (code, True, True)
    assert here.azure.ledger.count(effect="created", resource=f"/images/{name}/versions") == 0
    here.azure.faults.remove(refused)
    here.until_phase(name, "AwaitingVerification")


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
    """A machine that hangs while it is made from the image, and a lock: with their names, and nobody has to poke it."""
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
    """The definition carries it; one that exists without it is told before anything is sent."""
    plan = {"name": "plan", "publisher": "contoso", "product": "web"}
    here.azure.cloud.put_definition("planless", gallery=gallery_id())
    for name in ("planned", "planless"):
        begin(here, name, definition={"purchasePlan": plan})

    here.until_phase("planned", "AwaitingVerification")
    assert state(here, definition_id("planned"))["properties"]["purchasePlan"] == plan
    message = stalled(here, "planless")
    assert all(word in message for word in ("purchasePlan", "contoso", "name another definition"))
