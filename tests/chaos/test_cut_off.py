"""The operator hears nothing: what was deleted or suspended meanwhile is not acted on.

The watch and all kept connections go half-open, so that no event and no error comes;
only new connections pass. The announcement is what stops the mutation that was due.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests import manifests
from tests.cluster.world import World
from tests.proxy import TcpProxy

SETTLE = 6.0
"""Seconds, real: long enough to cut the operator off before the deletion is due."""


@pytest.fixture
def proxy(world: World) -> Iterator[TcpProxy]:
    """Put a proxy between the operator and the API server."""
    with TcpProxy("127.0.0.1", world.plane.port) as between:
        log = world.operator.log
        world.operator = world.make_operator(log, server=f"https://127.0.0.1:{between.url_port}")
        settle = SETTLE * world.operator.settings.speed
        world.operator.settings = replace(world.operator.settings, settle_seconds=settle)
        yield between
        world.operator.kill()


def delete(world: World, name: str) -> None:
    """Delete the resource."""
    world.kubectl("delete", "imig", name)


def suspend(world: World, name: str) -> None:
    """Suspend the resource."""
    world.kubectl("patch", "imig", name, "--type=merge", '--patch={"spec":{"suspend":true}}')


CHANGES = [pytest.param(delete, id="deleted"), pytest.param(suspend, id="suspended")]


@pytest.mark.parametrize("change", CHANGES)
def test_a_build_that_became_due_is_not_sent(
    world: World, proxy: TcpProxy, change: Callable[[World, str], None]
) -> None:
    """It waits for its image; cut off, it sees the image come, and builds nothing for what is not wanted any more."""
    world.operator.start()
    world.apply(manifests.migration("due"))
    world.until_phase("due", "Stalled")
    proxy.cut(only_established=True)
    change(world, "due")
    mark = world.azure.ledger.mark()
    world.azure.cloud.put_image("due", group="legacy")
    world.wait(lambda: _saw(world, "galleries.get", mark), what="the operator about to build")
    _after_the_announcement(world, proxy)
    assert world.azure.ledger.mutations() == []


@pytest.mark.parametrize("change", CHANGES)
def test_a_deletion_that_became_due_is_not_sent(
    world: World, proxy: TcpProxy, change: Callable[[World, str], None]
) -> None:
    """Verified and about to settle; cut off, it finds every guard held, and deletes nothing all the same."""
    world.azure.cloud.put_image("last", group="legacy")
    world.operator.start()
    world.apply(manifests.migration("last"))
    world.until_phase("last", "AwaitingVerification")
    world.verify("last")
    world.until("last", lambda s: s["phase"] == "Deleting", what="verified, waiting to settle")
    proxy.cut(only_established=True)
    change(world, "last")
    mark = world.azure.ledger.mark()
    world.wait(lambda: _saw(world, "images.get", mark), what="the operator about to delete")
    _after_the_announcement(world, proxy)
    assert world.azure.ledger.count("images.delete") == 0
    assert world.azure.cloud.get(manifests.image_id("last"))


def _saw(world: World, operation: str, mark: int) -> bool:
    return world.azure.ledger.count(operation, since=mark) > 0


def _after_the_announcement(world: World, proxy: TcpProxy) -> None:
    """Wait until the operator has found out: its announcement was refused, or its resource is suspended."""
    world.wait(lambda: world.operator.entries("outdated"), what="the announcement refused", within=120)
    proxy.restore()
