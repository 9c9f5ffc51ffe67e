"""One announcement is one request, also when the connection breaks under it."""

from imageferry.simulator import Fault, Reset
from tests import manifests
from tests.cluster.world import World


def test_a_put_whose_answer_was_cut_is_not_sent_again(world: World) -> None:
    """The version's PUT took effect and its answer was lost: the operator looks, it does not repeat."""
    world.azure.cloud.put_image("cut", group="legacy")
    world.azure.faults.add(Fault("galleryImageVersions.createOrUpdate", Reset("after"), times=1))
    world.azure.faults.add(Fault("images.delete", Reset("after"), times=1))
    world.operator.start()
    world.apply(manifests.migration("cut"))
    world.until_phase("cut", "AwaitingVerification")
    world.verify("cut")
    world.until_phase("cut", "Completed")
    assert world.azure.ledger.count("galleryImageVersions.createOrUpdate") == 1
    assert world.azure.ledger.count("images.delete") == 1
