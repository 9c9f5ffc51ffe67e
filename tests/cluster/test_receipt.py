"""The receipt of a real deletion: Azure's own words in it, no write of its own, and the same after a restart."""

from imageferry.simulator import Call
from tests import manifests
from tests.cluster.world import World
from tests.manifests import Json, image_id
from tests.operator_process import CLIENT_ID

EVIDENCE = "https://ci.example/runs/7"


def _verify(world: World, name: str) -> None:
    """Verify as a person does who says who she is."""
    digest = world.status(name)["proof"]["digest"]
    said: Json = {"digest": digest, "by": "vera", "method": "Person", "evidence": EVIDENCE}
    world.server_side_status(name, {"conditions": [{"type": "Verified", "status": "True"}], "verification": said})


def test_a_deletion_leaves_a_receipt(world: World) -> None:
    """Who deleted what, when, on whose word; the correlation id is the one that Azure logged; it costs no write."""
    world.azure.cloud.put_image("web", group="legacy", data_disks=(64,))
    world.operator.start()
    world.apply(manifests.migration("web"))
    waiting = world.until_phase("web", "AwaitingVerification")
    before = len(world.writes("web"))
    _verify(world, "web")
    status = world.until_phase("web", "Completed")
    receipt = status["deletion"]["receipt"]

    (deletion,) = [entry for entry in world.azure.ledger.mutations() if entry.operation == "images.delete"]
    assert receipt["correlationId"] == deletion.correlation_id
    assert receipt["identity"]["clientId"] == deletion.identity == CLIENT_ID
    assert receipt["identity"]["tenantId"] == world.azure.tenant
    assert receipt["identity"]["objectId"]
    assert receipt["source"] == waiting["source"]
    assert receipt["version"] == {
        "id": waiting["version"]["id"],
        "publishedDate": waiting["version"]["publishedDate"],
    }
    assert receipt["digest"] == waiting["proof"]["digest"]
    verification = {name: receipt["verification"][name] for name in ("by", "method", "evidence", "digest")}
    assert verification == {"by": "vera", "method": "Person", "evidence": EVIDENCE, "digest": receipt["digest"]}
    assert receipt["verification"]["at"] <= receipt["requestedAt"]
    assert "request" not in status["deletion"]
    assert len(world.writes("web")) - before <= 3  # that it was verified, the announcement, the end with the receipt

    stored = world.get("web")["metadata"]["resourceVersion"]
    mark = world.azure.ledger.mark()
    world.operator.stop()
    world.operator.start()
    world.wait(lambda: world.azure.ledger.count("galleryImageVersions.get", since=mark) >= 1, what="another look")
    world.operator.stop()
    assert world.get("web")["metadata"]["resourceVersion"] == stored


def test_a_kill_just_after_the_deletion_loses_the_correlation_id_alone(world: World) -> None:
    """The next process finds in the announcement who sent it, and on whose word."""
    world.azure.cloud.put_image("killed", group="legacy")

    def kill(call: Call) -> None:
        if (call.operation, call.when) == ("images.delete", "after"):
            world.operator.kill()

    world.azure.hooks.append(kill)
    world.operator.start()
    world.apply(manifests.migration("killed"))
    world.until_phase("killed", "AwaitingVerification")
    _verify(world, "killed")
    world.wait(lambda: world.azure.cloud.get(image_id("killed")) is None, what="the deletion")
    world.operator.bury()
    world.operator.start()
    receipt = world.until_phase("killed", "Completed")["deletion"]["receipt"]

    assert receipt["outcome"] == "Deleted"
    assert receipt["identity"]["clientId"] == CLIENT_ID
    assert receipt["verification"]["by"] == "vera"
    assert "correlationId" not in receipt
