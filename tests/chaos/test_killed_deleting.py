"""SIGKILL before and after every call that a deletion makes, to Azure and to Kubernetes: one effective delete.

Which calls these are is seen in a deletion that nobody disturbs; one that is added later is covered by itself.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from imageferry.simulator import Call
from tests import manifests
from tests.api_proxy import ApiProxy
from tests.chaos import calls
from tests.chaos.calls import AFTER, BEFORE, Calls, Moment
from tests.chaos.test_replaced import other_disk, reason
from tests.cluster import shared
from tests.cluster.world import World
from tests.manifests import gallery_id, image_id

KNOWN = {
    Moment(calls.VERIFIED, "galleryImageVersions.get"),
    Moment(calls.VERIFIED, "images.get"),
    Moment(calls.VERIFIED, "galleryImages.get"),
    Moment(calls.VERIFIED, calls.LIST),
    Moment(calls.VERIFIED, "virtualMachines.list"),
    Moment(calls.VERIFIED, "virtualMachineScaleSets.list"),
    Moment(calls.VERIFIED, calls.PATCH),
    Moment(calls.ANNOUNCED, calls.DELETE),
    Moment(calls.DELETED, "images.get"),
    Moment(calls.DELETED, calls.PATCH),
    Moment(calls.RECEIPT, "POST events Completed"),
}
"""What any deletion has to do; that these are among the calls shows that all kinds are seen."""
RENEWAL = Moment(calls.DELETED, calls.RENEW)
"""It comes by the clock; it is awaited while the answer to the delete is under way."""

HELD_SECONDS = 30.0


@pytest.fixture
def proxy(world: World, tmp_path: Path) -> Iterator[ApiProxy]:
    """Give a gateway that the operator's calls to the API server go through, and an operator that runs."""
    with ApiProxy(world.plane, tmp_path) as between:
        given = world.operator.settings
        world.operator.settings = replace(given, kubeconfig=between.kubeconfig(given.kubeconfig), settle_seconds=0)
        world.operator.start()
        yield between
        world.close()


def awaiting(world: World, names: list[str]) -> None:
    """Let these wait to be verified; their versions are there already."""
    for name in names:
        image = world.azure.cloud.put_image(name, group="legacy", created_at=world.began)
        definition = world.azure.cloud.put_definition(name, gallery=gallery_id())
        world.azure.cloud.put_version("1.0.0", definition=definition, source=image)
    shared.apply_all(world, [manifests.migration(name) for name in names])
    shared.until_phases(world, names, "AwaitingVerification")


def verified(world: World, proxy: ApiProxy, seen: Calls, name: str, *hooks: Callable[[Call], None]) -> None:
    """Verify one, with all its calls seen from then on."""
    world.azure.hooks[:] = [seen.azure, *hooks]
    proxy.witness = seen.kubernetes
    shared.verify_all(world, [name])


def killed(world: World, proxy: ApiProxy, name: str, at: Moment, when: str) -> None:
    """Verify one and let the operator be killed at a moment of its deletion."""
    seen = Calls(name, world.operator.kill, at=at, when=when)

    def hold(call: Call) -> None:
        if at == RENEWAL and (call.operation, call.when) == (calls.DELETE, AFTER):
            seen.fired.wait(HELD_SECONDS)

    verified(world, proxy, seen, name, hold)
    world.wait(seen.fired.is_set, what=f"the kill {when} {at}")
    proxy.witness = None
    world.azure.hooks.clear()


@pytest.mark.timeout(900)
def test_killed_before_and_after_every_call_of_a_deletion(world: World, proxy: ApiProxy) -> None:
    """Whatever was under way, the next operator comes to the end: one effective delete, and a receipt of it."""
    awaiting(world, ["calm"])
    calm = Calls("calm", world.operator.kill)
    verified(world, proxy, calm, "calm")
    world.until_phase("calm", "Completed")
    world.operator.stop()  # which ends the pass, with its Events
    found = [*(moment for moment in calm.seen if moment != RENEWAL), RENEWAL]
    proxy.witness = None
    world.operator.start()
    assert set(found) >= KNOWN
    trials = {f"kill-{n:02}{when}": (at, when) for n, at in enumerate(found) for when in (BEFORE, AFTER)}
    awaiting(world, sorted(trials))
    for name, (at, when) in trials.items():
        killed(world, proxy, name, at, when)
        world.operator.start(wait=False)
        world.until_phase(name, "Completed")
        assert world.azure.ledger.count(calls.DELETE, effect="accepted", resource=name) == 1, (at, when)
        assert world.azure.cloud.get(image_id(name)) is None
        assert world.status(name)["deletion"]["receipt"]["outcome"] == "Deleted", (at, when)


def test_an_image_that_takes_the_place_of_one_whose_deletion_was_announced_stays(world: World, proxy: ApiProxy) -> None:
    """The announcement was for another image: the next operator looks anew and finds the proof void."""
    shared.put_images(world, "swapped")
    world.apply(manifests.migration("swapped"))
    world.until_phase("swapped", "AwaitingVerification")
    killed(world, proxy, "swapped", Moment(calls.VERIFIED, calls.PATCH), AFTER)
    assert world.status("swapped")["operation"]["action"] == "DeleteImage"
    world.azure.cloud.put(image_id("swapped"), other_disk("swapped"))
    world.operator.start(wait=False)
    sent = partial(world.azure.ledger.count, calls.DELETE)
    world.until("swapped", lambda s: reason(s, "Verified") == "ProofChanged" or sent(), what="the verification voided")
    assert sent() == 0
    assert world.azure.cloud.get(image_id("swapped"))
