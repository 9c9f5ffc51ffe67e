"""What has to be right before the first write and needs an operator of its own: deleted versions, and rights."""

import asyncio
import json
from pathlib import Path

from imageferry.simulator import SUBSCRIPTION
from tests import manifests
from tests.cluster import shared
from tests.cluster.shared import conditions, version_id
from tests.cluster.test_looks import delete
from tests.cluster.test_preflight import ANOTHER, GROUPS, MACHINES
from tests.cluster.world import World
from tests.manifests import gallery_id, image_id
from tests.operator_process import CLIENT_ID

ROLE = json.loads((Path(__file__).parents[2] / "deploy/azure/migrator.json").read_text(encoding="utf-8"))


def test_a_number_whose_old_bits_would_come_back_is_not_used(world: World) -> None:
    """A PUT would restore them with a 200 and carry a fresh fingerprint; once they are purged it is built."""
    cloud, gallery = world.azure.cloud, gallery_id("keeping")
    cloud.put_image("again", group="legacy")
    cloud.put_gallery("keeping", group="gallery", soft_delete=True)
    version = version_id("again", gallery="keeping")
    cloud.put_version("1.0.0", definition=cloud.put_definition("again", gallery=gallery), source=image_id("again"))
    asyncio.run(delete(world.azure, version))
    mark = world.azure.ledger.mark()
    world.operator.start()
    world.apply(manifests.migration("again", gallery={"id": gallery}))
    status = world.until_phase("again", "Stalled")

    assert conditions(status)["Stalled"]["reason"] == "VersionSoftDeleted"
    assert f"Purge it (DELETE {version}?bypassSoftDelete=true)" in conditions(status)["Stalled"]["message"]
    assert world.azure.ledger.mutations(since=mark) == []
    asyncio.run(delete(world.azure, version, purge=True))
    world.until_phase("again", "AwaitingVerification")
    (built,) = world.azure.ledger.mutations(shared.PUT_VERSION, since=mark)
    assert (built.status, built.effect) == (201, "created")


def test_rights_in_two_subscriptions(world: World) -> None:
    """A read that is refused names what both need; what is for looking alone is noted, and it goes on."""
    cloud, image = world.azure.cloud, image_id("abroad", subscription=ANOTHER)
    cloud.put_image("abroad", group="legacy", subscription=ANOTHER, source_virtual_machine=f"{MACHINES}/gone")
    cloud.assign(CLIENT_ID, ROLE, scope=f"{GROUPS}/gallery")
    world.operator.start()
    world.apply(manifests.migration("abroad", image=image))
    told = conditions(world.until_phase("abroad", "Stalled"))["Stalled"]

    assert told["reason"] == "AuthorizationFailed"
    assert f"images/read in {ANOTHER}" in told["message"]
    assert f"below it in {SUBSCRIPTION}" in told["message"]
    cloud.assign(CLIENT_ID, ROLE, scope=f"/subscriptions/{ANOTHER}/resourceGroups/legacy")
    status = world.until_phase("abroad", "AwaitingVerification")
    notes = {each["message"].partition(" of ")[0]: each["message"] for each in status["findings"]}
    assert {each["severity"] for each in status["findings"]} == {"Notes"}
    assert "Microsoft.Compute/locations/usages/read (docs/azure.md)" in notes["quotas"]
    assert "Microsoft.Compute/virtualMachines/read (docs/azure.md)" in notes["machine"]
    assert "locks" not in notes
