"""What would fool an operator that trusts a status or a name."""

from imageferry.simulator import SUBSCRIPTION, Call
from tests import manifests
from tests.cluster import shared
from tests.cluster.world import World
from tests.manifests import Json, gallery_id, image_id

DELETE = "images.delete"


def other_disk(name: str) -> Json:
    """Return an image of the same shape, captured from another machine."""
    disk = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/legacy/providers/Microsoft.Compute/disks/another-{name}"
    os_disk = {"osType": "Linux", "osState": "Generalized", "diskSizeGB": 30, "managedDisk": {"id": disk}}
    storage = {"osDisk": os_disk, "dataDisks": []}
    return {"location": "westeurope", "properties": {"hyperVGeneration": "V2", "storageProfile": storage}}


def blocking(status: Json) -> list[str]:
    """Return the guards that do not hold."""
    return [guard["name"] for guard in status["deletion"]["guards"] if not guard["passed"]]


def test_an_image_replaced_after_the_build_is_not_deleted(world: World) -> None:
    """Deleted and applied anew, so that its status is empty, the migration still sees that this is another image."""
    world.azure.cloud.put_image("swap", group="legacy")
    world.operator.start()
    world.apply(manifests.migration("swap"))
    world.until_phase("swap", "AwaitingVerification")
    world.kubectl("delete", "imig", "swap")
    world.azure.cloud.put(image_id("swap"), other_disk("swap"))
    world.apply(manifests.migration("swap"))
    world.until_phase("swap", "AwaitingVerification")
    world.verify("swap")
    status = world.until("swap", lambda s: s.get("verification") and s.get("deletion"), what="the blocked deletion")
    assert "VersionBuiltFromSource" in blocking(status)
    assert world.condition("swap", "SourceDeleted")["reason"] == "DeletionBlocked"
    assert world.azure.ledger.count(DELETE) == 0


def test_an_image_replaced_while_a_person_looks_voids_the_verification(world: World) -> None:
    """The proof names the image's fingerprint: another image is another proof."""
    world.azure.cloud.put_image("late", group="legacy")
    world.operator.start()
    world.apply(manifests.migration("late"))
    world.until_phase("late", "AwaitingVerification")
    world.operator.kill()
    world.azure.cloud.put(image_id("late"), other_disk("late"))
    world.verify("late")
    world.operator.start()
    world.until("late", lambda s: reason(s, "Verified") == "ProofChanged", what="the verification voided")
    assert world.azure.ledger.count(DELETE) == 0


def test_a_condition_set_while_the_version_was_rebuilt_does_not_count(world: World) -> None:
    """Set while the operator was down, for the proof that was shown; the version is another one when it comes up."""
    world.azure.cloud.put_image("rebuilt", group="legacy")
    world.operator.start()
    world.apply(manifests.migration("rebuilt"))
    before = world.until_phase("rebuilt", "AwaitingVerification")["proof"]
    world.operator.kill()
    plain = {"conditions": [{"type": "Verified", "status": "True"}]}
    world.server_side_status("rebuilt", plain)
    version = f"{gallery_id()}/images/rebuilt/versions/1.0.0"
    body = world.azure.cloud.get(version)
    assert body
    world.azure.cloud.remove(version)
    world.azure.clock.advance(1)
    body["properties"]["publishingProfile"]["publishedDate"] = "2026-01-01T00:00:00.1234567+00:00"
    world.azure.cloud.put(version, body)
    world.operator.start()
    status = world.until("rebuilt", lambda s: reason(s, "Verified") == "ProofChanged", what="the verification voided")
    assert status["proof"]["digest"] != before["digest"]
    assert "verification" not in status
    assert world.azure.ledger.count(DELETE) == 0


def test_a_condition_set_before_there_was_a_proof_does_not_count(world: World) -> None:
    """Nobody can have looked at what was not there."""
    world.azure.cloud.put_image("early", group="legacy")
    world.apply(manifests.migration("early"))
    world.server_side_status("early", {"conditions": [{"type": "verified", "status": "True"}]})
    world.operator.start()
    world.until_phase("early", "AwaitingVerification")
    assert reason(world.status("early"), "Verified") == "ProofChanged"
    assert world.azure.ledger.count(DELETE) == 0


def test_a_status_forged_to_look_ready_deletes_nothing(world: World) -> None:
    """No version is there: all that the status claims counts for nothing, and a version is built first."""
    world.azure.cloud.put_image("forged", group="legacy")
    world.apply(manifests.migration("forged"))
    world.patch_status("forged", forged("forged"))
    world.operator.start()
    world.until_phase("forged", "AwaitingVerification")
    assert reason(world.status("forged"), "Verified") == "ProofChanged"
    assert world.azure.ledger.count(DELETE) == 0
    assert world.azure.ledger.count("galleryImageVersions.createOrUpdate") == 1


def test_a_forged_receipt_only_ever_stops_action(world: World) -> None:
    """What looks finished is left alone."""
    world.azure.cloud.put_image("receipt", group="legacy")
    world.apply(manifests.migration("receipt"))
    receipt = {"outcome": "Deleted", "resource": image_id("receipt"), "at": "2026-01-01T00:00:00Z"}
    world.patch_status("receipt", forged("receipt") | {"deletion": {"receipt": receipt}})
    world.operator.start()
    world.until("receipt", lambda s: reason(s, "VersionReady") == "Gone", what="a look at the version")
    assert world.azure.ledger.mutations() == []
    assert world.azure.cloud.get(image_id("receipt"))


def test_a_region_added_after_the_verification_is_awaited(world: World) -> None:
    """The word still counts, as it is the same build; the image goes once the new region is Completed too."""
    lagging: list[str] = []
    version = f"{gallery_id()}/images/more/versions/1.0.0"

    def see(call: Call) -> None:
        if call.operation == DELETE and call.when == "before":
            body = world.azure.cloud.get(version) or {}
            copies = {each["region"]: each["state"] for each in body["properties"]["replicationStatus"]["summary"]}
            lagging.extend(name for name in ("westeurope", "uksouth") if copies.get(name) != "Completed")

    world.azure.hooks.append(see)
    verified_while_down(world, "more")
    world.apply(manifests.migration("more", regions=["westeurope", "uksouth"]))
    world.operator.start()
    world.until_phase("more", "Completed")
    assert lagging == []
    assert world.status("more")["replication"]["summary"] == "2/2"
    assert world.azure.ledger.count(DELETE, effect="accepted") == 1


def test_a_sibling_that_retains_and_came_after_the_verification_keeps_the_image(world: World) -> None:
    """From any other migration, also one that is only just applied."""
    verified_while_down(world, "shared")
    keeper = manifests.migration("keeper", image=image_id("shared"), sourceDeletion={"policy": "Retain"})
    world.apply(keeper)
    world.operator.start()
    status = world.until_phase("shared", "DeletionBlocked")
    assert "NotShared" in blocking(status)
    assert world.azure.ledger.count(DELETE) == 0


def test_a_status_forged_over_a_version_that_lags_deletes_nothing(world: World) -> None:
    """Azure shows one region that replicates: all Completed, all guards passed and another proof count for nothing."""
    world.azure.cloud.put_image("lags", group="legacy")
    definition = world.azure.cloud.put_definition("lags", gallery=gallery_id())
    version = world.azure.cloud.put_version("1.0.0", definition=definition, source=image_id("lags"))
    body = world.azure.cloud.get(version)
    assert body
    body["properties"]["replicationStatus"] = {"summary": [{"region": "westeurope", "state": "Failed"}]}
    world.azure.cloud.put(version, body)
    world.apply(manifests.migration("lags"))
    world.patch_status("lags", forged("lags"))
    world.operator.start()
    world.until_phase("lags", "Stalled")
    shared.look_again(world, "lags")
    assert reason(world.status("lags"), "Replicated") == "RegionFailed"
    assert world.azure.ledger.count(DELETE) == 0


def verified_while_down(world: World, name: str) -> None:
    """Migrate an image, stop the operator, verify: so that something may happen before the next one looks."""
    world.azure.cloud.put_image(name, group="legacy")
    world.operator.start()
    world.apply(manifests.migration(name))
    world.until_phase(name, "AwaitingVerification")
    world.operator.kill()
    world.verify(name)


def test_a_deleted_resource_deletes_nothing_in_azure(world: World) -> None:
    """Neither while it builds nor when it waits: Azure keeps what it has."""
    world.azure.cloud.put_image("dropped", group="legacy")
    world.operator.start()
    world.apply(manifests.migration("dropped"))
    world.until("dropped", lambda s: s.get("version"), what="the version requested")
    world.kubectl("delete", "imig", "dropped", "--wait=true", "--timeout=10s")
    assert world.azure.ledger.count(DELETE) == 0
    assert world.azure.cloud.get(image_id("dropped"))


def reason(status: Json, kind: str) -> str:
    """Return a condition's reason; empty when it is not there."""
    found = [each for each in status.get("conditions", []) if each["type"] == kind]
    return str(found[0].get("reason", "")) if found else ""


def forged(name: str) -> Json:
    """Return a status that claims that all is done and verified but the deletion."""
    digest = f"v1:sha256:{'a' * 64}"
    stamp = "2026-01-01T00:00:00Z"
    version = f"{gallery_id()}/images/{name}/versions/1.0.0"
    conditions = [
        {"type": kind, "status": "True", "reason": "Forged", "message": "", "lastTransitionTime": stamp}
        for kind in ("Ready", "VersionReady", "DefinitionReady", "Replicated", "Verified")
    ]
    proof = {"digest": digest, "sourceFingerprint": digest, "versionId": version, "publishedDate": stamp}
    return {
        "phase": "Deleting",
        "observedGeneration": 1,
        "conditions": conditions,
        "proof": proof,
        "verification": {"digest": digest, "at": stamp},
        "replication": {"summary": "1/1", "progress": 100, "regions": [{"name": "westeurope", "state": "Completed"}]},
        "version": {"id": version, "provisioningState": "Succeeded", "publishedDate": stamp},
        "deletion": {"guards": [{"name": "AllRegionsCompleted", "passed": True}]},
    }
