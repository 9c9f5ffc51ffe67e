"""What the watch does not tell is found all the same, and a watch that stays silent is told of.

The gaps are made between the operator and a real API server: half-open connections, a
watch that is open and says nothing, a watch that ends in all the ways that one can.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imageferry.simulator import Answer, Fault
from tests import manifests
from tests.api_proxy import ApiProxy
from tests.cluster.world import World
from tests.proxy import TcpProxy

COMPARE = 1.0
"""Seconds between comparisons where a test wants one soon."""
NEVER = 3600.0
BUILD = "galleryImageVersions.createOrUpdate"
GONE = {"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old resource version"}
BROKEN = GONE | {"code": 500, "reason": "InternalError", "message": "etcdserver: no leader"}


@pytest.fixture
def proxy(world: World, tmp_path: Path) -> Iterator[ApiProxy]:
    """Put a gateway between the operator and the API server; it compares soon."""
    with ApiProxy(world.plane, tmp_path) as between:
        kubeconfig = between.kubeconfig(world.operator.settings.kubeconfig)
        world.operator.settings = replace(world.operator.settings, kubeconfig=kubeconfig, compare_seconds=COMPARE)
        yield between
        world.operator.kill()


def start(world: World, proxy: ApiProxy, *, compare: float = COMPARE) -> None:
    """Start the operator and wait for its watch."""
    world.operator.settings = replace(world.operator.settings, compare_seconds=compare)
    world.operator.start()
    world.wait(lambda: proxy.watches, what="the watch")


def apply(world: World, name: str) -> None:
    """Apply a migration whose image is there."""
    world.azure.cloud.put_image(name, group="legacy")
    world.apply(manifests.migration(name))


def event(kind: str, status: manifests.Json) -> bytes:
    """Return a line of a watch."""
    return json.dumps({"type": kind, "object": status | {"apiVersion": "v1", "metadata": {}}}).encode() + b"\n"


def test_a_half_open_watch_is_repaired_told_of_and_forgiven(world: World) -> None:
    """Connections go silent, new ones pass: what was applied is built; liveness fails until the watch tells again."""
    with TcpProxy("127.0.0.1", world.plane.port) as proxy:
        world.operator = world.make_operator(world.operator.log, server=f"https://127.0.0.1:{proxy.url_port}")
        world.operator.settings = replace(world.operator.settings, compare_seconds=COMPARE)
        world.operator.start()
        apply(world, "before")
        world.until_phase("before", "AwaitingVerification")
        world.wait(lambda: world.operator.health() == 200, what="good health")
        proxy.cut(only_established=True)
        apply(world, "unheard")
        world.until_phase("unheard", "AwaitingVerification")
        assert world.operator.entries("unheard")
        world.wait(lambda: world.operator.health() == 500, what="liveness that fails while the watch is deaf")
        proxy.restore()
        world.wait(lambda: world.operator.health() == 200, what="good health again")
        world.operator.kill()
    assert world.azure.ledger.count(BUILD, effect="created") == 2


def test_a_watch_that_opens_and_tells_nothing_fails_liveness(world: World, proxy: ApiProxy) -> None:
    """No error anywhere, one change that only a comparison found, and the operator's own writes: it is deaf."""
    start(world, proxy)
    world.wait(lambda: world.operator.health() == 200, what="good health")
    proxy.muted = True
    apply(world, "unheard")
    world.until_phase("unheard", "AwaitingVerification")
    world.wait(lambda: world.operator.health() == 500, what="liveness that fails")
    assert "the watch is deaf" in world.operator.log.read_text()


def test_a_quiet_cluster_is_no_deaf_watch(world: World, proxy: ApiProxy) -> None:
    """Nothing happens for many comparisons: that is peace, and liveness holds."""
    start(world, proxy)
    apply(world, "done")
    world.until_phase("done", "AwaitingVerification")
    began = len(metadata_lists(proxy))
    world.wait(lambda: len(metadata_lists(proxy)) > began + 5, what="five comparisons")
    assert world.operator.health() == 200


def metadata_lists(proxy: ApiProxy) -> list[object]:
    """Return the comparisons' requests."""
    return [each for each in proxy.requests if "PartialObjectMetadataList" in each.headers.get("Accept", "")]


def test_what_was_deleted_in_a_gap_is_forgotten_and_holds_nobody_up(world: World, proxy: ApiProxy) -> None:
    """Kopf tells nothing of it. The one that waited for the same image goes on; nothing more is done for the first."""
    world.azure.cloud.put_image("shared", group="legacy")
    busy = Answer(429, "TooManyRequests", headers={"Retry-After": "15"})
    world.azure.faults.add(Fault(BUILD, busy, resource="/images/older/"))
    start(world, proxy)
    shared = manifests.image_id("shared")
    world.apply(manifests.migration("older", image=shared))
    world.until_phase("older", "Creating")
    world.apply(manifests.migration("younger", image=shared))
    world.until_phase("younger", "Pending")
    proxy.muted = True
    world.kubectl("delete", "imig", "older")
    found = ("unheard", "outdated")  # by the comparison, or by the announcement of its next try
    world.wait(lambda: any(world.operator.entries(each) for each in found), what="that it is found gone")
    mark = world.azure.ledger.mark()
    proxy.muted = False
    proxy.say(event("ERROR", GONE))
    world.until_phase("younger", "AwaitingVerification")
    assert world.azure.ledger.entries(resource="/images/older", since=mark) == []
    assert world.azure.ledger.count(BUILD, effect="created") == 1


def test_a_suspension_in_a_gap_is_honoured(world: World, proxy: ApiProxy) -> None:
    """It waits for its image; suspended unheard, it says so and builds nothing when the image comes."""
    start(world, proxy)
    world.apply(manifests.migration("held"))
    world.until_phase("held", "Stalled")
    proxy.muted = True
    world.kubectl("patch", "imig", "held", "--type=merge", '--patch={"spec":{"suspend":true}}')
    world.until_phase("held", "Suspended")
    mark = world.azure.ledger.mark()
    world.azure.cloud.put_image("held", group="legacy")
    compared = len(metadata_lists(proxy))
    world.wait(lambda: len(metadata_lists(proxy)) > compared + 3, what="three comparisons more")
    assert world.azure.ledger.mutations(since=mark) == []


def test_an_edit_in_a_gap_is_carried_out(world: World, proxy: ApiProxy) -> None:
    """A region that is added unheard gets its replica."""
    start(world, proxy)
    world.azure.cloud.put_image("grown", group="legacy")
    world.apply(manifests.migration("grown", regions=["westeurope"]))
    world.until_phase("grown", "AwaitingVerification")
    proxy.muted = True
    world.apply(manifests.migration("grown", regions=["westeurope", "northeurope"]))
    world.until("grown", lambda status: status["replication"]["summary"] == "2/2", what="both regions")
    assert world.operator.entries("unheard")


SURVIVED = [
    pytest.param(b"", False, id="ended"),
    pytest.param(b"", True, id="reset"),
    pytest.param(event("MODIFIED", {"kind": "ImageMigration"})[:60], True, id="reset-within-a-line"),
    pytest.param(event("ERROR", GONE), False, id="410"),
    pytest.param(event("UNHEARD-OF", {"kind": "ImageMigration"}), False, id="unknown-type"),
]


@pytest.mark.parametrize(("words", "reset"), SURVIVED)
def test_a_watch_that_ends_is_begun_again(world: World, proxy: ApiProxy, words: bytes, *, reset: bool) -> None:
    """However it ends, what was applied meanwhile is found without any comparison, and the process lives on."""
    start(world, proxy, compare=NEVER)
    proxy.muted = True
    apply(world, "meanwhile")
    proxy.muted = False
    proxy.say(words, reset=reset)
    world.until_phase("meanwhile", "AwaitingVerification")
    assert world.operator.running
    assert world.operator.health() == 200
    assert len([each for each in proxy.requests if each.is_watch]) <= 3


FATAL = [
    pytest.param(event("ERROR", BROKEN), "no leader", id="error-500"),
    pytest.param(event("MODIFIED", {"kind": "ImageMigration"})[:60] + b"\n", "JSONDecodeError", id="truncated-json"),
]


@pytest.mark.parametrize(("words", "reason"), FATAL)
def test_a_watch_that_makes_no_sense_ends_the_process(world: World, proxy: ApiProxy, words: bytes, reason: str) -> None:
    """Kopf cannot go on: the process says why and ends with 1, for the kubelet to start it again; nothing is lost."""
    start(world, proxy, compare=NEVER)
    apply(world, "meanwhile")
    world.until_phase("meanwhile", "AwaitingVerification")
    version = world.get("meanwhile")["metadata"]["resourceVersion"]
    proxy.say(words)
    world.wait(lambda: not world.operator.running, what="the end of the process")
    assert world.operator.exit_code == 1
    assert [reason in each["error"] for each in world.operator.entries("ended")] == [True]
    assert world.operator.entries("cannot start") == []
    world.operator.kill()  # closes what is left of it
    world.operator.start()
    apply(world, "after")
    world.until_phase("after", "AwaitingVerification")
    assert world.get("meanwhile")["metadata"]["resourceVersion"] == version
