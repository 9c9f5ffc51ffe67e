"""The operator as a process: it tells that it is well, and ends when it is told to."""

import urllib.request

from tests import manifests
from tests.cluster.world import World
from tests.controlplane import until


def test_it_answers_that_it_is_well(world: World) -> None:
    """The liveness endpoint is what a kubelet would ask."""
    world.operator.start()
    url = world.operator.settings.liveness

    def healthy() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own endpoint
                return bool(answer.status == 200)
        except OSError:
            return False

    assert until(healthy, what="the liveness endpoint", within=30)


def test_it_ends_in_good_order_when_told_to(world: World) -> None:
    """SIGTERM: what has begun ends, nothing new begins, and the next one goes on from there."""
    world.azure.cloud.put_image("going", group="legacy")
    world.operator.start()
    world.apply(manifests.migration("going"))
    world.until("going", lambda status: status.get("version"), what="the version requested")
    world.operator.stop()
    assert world.operator.entries("stopped")
    world.operator.start()
    world.until_phase("going", "AwaitingVerification")
    assert world.azure.ledger.count("galleryImageVersions.createOrUpdate", effect="created") == 1
