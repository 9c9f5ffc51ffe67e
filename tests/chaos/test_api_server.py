"""The API server refuses, restarts, is gone for a while, or takes a token no more: the operator waits and goes on."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from tests import manifests
from tests.api_proxy import ApiProxy, Refusal, Request
from tests.cluster.world import World
from tests.operator_process import ACCOUNT, NAMESPACE
from tests.proxy import TcpProxy

KOPF_GIVES_UP = 9
"""Tries after which kopf, left to itself, ends the process."""
PER_SECOND = 4.0
"""Requests for all migrations while they are refused: the watch, and a comparison a second."""
NAMES = [f"m{number}" for number in range(8)]
PATIENT = 60
"""Seconds of a Lease that outlasts a restart of the API server: an operator that loses its Lease ends."""
ONCE = ("galleryImages.createOrUpdate", "galleryImageVersions.createOrUpdate", "images.delete")


@pytest.fixture
def proxy(world: World, tmp_path: Path) -> Iterator[ApiProxy]:
    """Put a gateway between the operator and the API server."""
    with ApiProxy(world.plane, tmp_path) as between:
        kubeconfig = between.kubeconfig(world.operator.settings.kubeconfig)
        world.operator.settings = replace(
            world.operator.settings, kubeconfig=kubeconfig, compare_seconds=1.0, lease_seconds=PATIENT
        )
        yield between
        world.operator.kill()


def reads(request: Request) -> bool:
    """Whether a request is refused: all lists and watches."""
    return request.is_read_of_all


def of_kopf(request: Request) -> bool:
    """Whether kopf asked, and not our own client."""
    return request.is_read_of_all and "kopf" in request.headers.get("User-Agent", "")


REFUSALS = [
    pytest.param(Refusal(429, reads, {"Retry-After": "1"}), 3, id="429"),
    pytest.param(Refusal(500, reads), 3, id="500"),
    pytest.param(Refusal(403, reads), 3, id="403"),
    pytest.param(Refusal(503, reads), KOPF_GIVES_UP + 1, id="503-for-long"),
    pytest.param(Refusal(401, lambda _: True), 2, id="401-for-a-moment"),
    pytest.param(
        Refusal(200, lambda request: reads(request) and not of_kopf(request), text='{"items": ['), 0, id="cut"
    ),
    pytest.param(
        Refusal(200, lambda request: reads(request) and not of_kopf(request), text='"hello"'), 0, id="senseless"
    ),
]


@pytest.mark.parametrize(("refusal", "tries"), REFUSALS)
def test_refused_lists_and_watches_are_waited_out(world: World, proxy: ApiProxy, refusal: Refusal, tries: int) -> None:
    """No end of the process, no hot loop, a log line that says what is wrong; then all that was missed is done."""
    world.operator.start()
    world.wait(lambda: proxy.watches, what="the watch")
    mark, began = len(proxy.requests), time.monotonic()
    proxy.muted, proxy.refusal = True, refusal
    world.azure.cloud.put_image("meanwhile", group="legacy")
    world.apply(manifests.migration("meanwhile"))
    proxy.say(b"")

    def refused() -> bool:
        seen = [each for each in proxy.requests[mark:] if refusal.to(each)]
        return len([each for each in seen if of_kopf(each)]) >= tries and len(seen) > tries + 1

    world.wait(refused, what=f"{tries} tries of kopf", within=90)
    asked = len([each for each in proxy.requests[mark:] if refusal.to(each)])
    assert asked / (time.monotonic() - began) < PER_SECOND
    assert world.operator.running
    assert world.operator.entries("compare")
    proxy.muted, proxy.refusal = False, None
    world.until_phase("meanwhile", "AwaitingVerification")
    assert world.operator.running
    world.wait(lambda: world.operator.health() == 200, what="good health")


def test_refused_writes_are_repeated_slowly(world: World, proxy: ApiProxy) -> None:
    """A pass looks at Azure before it writes: pauses double, nothing is sent to Azure, and then it goes on."""
    proxy.refusal = Refusal(503, lambda request: request.method == "PATCH")
    world.operator.start()
    world.azure.cloud.put_image("unwritten", group="legacy")
    world.apply(manifests.migration("unwritten"))

    def tries() -> list[float]:
        return [each.began for each in proxy.requests if each.method == "PATCH"]

    world.wait(lambda: len(tries()) >= 4, what="four tries")
    assert all(
        later - earlier > least * 0.9 for (earlier, later), least in zip(pairwise(tries()[:4]), (1, 2, 4), strict=True)
    )
    assert world.azure.ledger.mutations() == []
    proxy.refusal = None
    world.until_phase("unwritten", "AwaitingVerification")


def test_an_api_server_that_is_gone_for_a_while_is_waited_for(world: World) -> None:
    """Connection refused: tries go on in seconds, and what was applied meanwhile is built."""
    with TcpProxy("127.0.0.1", world.plane.port) as between:
        world.operator = world.make_operator(world.operator.log, server=f"https://127.0.0.1:{between.url_port}")
        world.operator.settings = replace(world.operator.settings, compare_seconds=1.0, lease_seconds=PATIENT)
        world.operator.start()
        until_watched(world)
        between.refuse()
        world.azure.cloud.put_image("meanwhile", group="legacy")
        world.apply(manifests.migration("meanwhile"))
        world.wait(lambda: len(world.operator.entries("compare")) > 3, what="comparisons that fail")
        between.restore()
        world.until_phase("meanwhile", "AwaitingVerification")
        assert world.operator.running
        world.operator.kill()


def until_watched(world: World) -> None:
    """Wait until the watch tells of news before a comparison does; kopf's first look around does not survive a cut."""
    for number in range(20):
        unheard = len(world.operator.entries("unheard"))
        world.apply(manifests.migration(f"seen{number}"))
        world.until_phase(f"seen{number}", "Stalled")
        if len(world.operator.entries("unheard")) == unheard:
            return
    raise AssertionError("the watch tells nothing")


@pytest.mark.parametrize("kill", [pytest.param(False, id="SIGTERM"), pytest.param(True, id="SIGKILL")])
def test_a_restart_of_the_api_server_is_nothing_to_the_operator(world: World, *, kill: bool) -> None:
    """Migrations are under way: all end well under the same process, each mutation once, no status lost."""
    for name in NAMES:
        world.azure.cloud.put_image(name, group="legacy")
    world.operator.settings = replace(world.operator.settings, lease_seconds=PATIENT)
    world.operator.start()
    text = "\n---\n".join(manifests.text(manifests.migration(name)) for name in NAMES)
    world.kubectl("apply", "--filename=-", input=text)
    world.wait(lambda: world.azure.ledger.count(ONCE[1]) >= 2, what="the first builds")
    if kill:
        world.plane.kill_api_server()
        world.plane.start_api_server()
    else:
        world.plane.restart_api_server()
    done = dict.fromkeys(NAMES, "Completed")
    world.wait(lambda: world.verify_what_waits() == done, what="all completed", within=120)
    assert len(world.operator.entries("listed")) == 1
    assert world.operator.running
    effects = Counter(entry.operation for entry in world.azure.ledger.mutations() if entry.effect != "updated")
    assert effects == dict.fromkeys(ONCE, len(NAMES))
    for name in NAMES:
        status = world.status(name)
        assert status["deletion"]["receipt"]["outcome"] == "Deleted"
        assert status["verification"]["digest"] == status["proof"]["digest"]


def bound_token(world: World, secret: str) -> str:
    """Return a token of the operator's that ends with a secret, as a pod's ends with the pod."""
    words = (f"--namespace={NAMESPACE}", "--bound-object-kind=Secret", f"--bound-object-name={secret}")
    world.plane.kubectl("create", "secret", "generic", secret, f"--namespace={NAMESPACE}")
    return world.plane.kubectl("create", "token", ACCOUNT, *words).stdout.strip()


def test_a_token_that_is_replaced_in_its_file_is_taken_up(world: World, tmp_path: Path) -> None:
    """The old one is refused and the watch cut off: the watch, reads and writes go on with the new one."""
    first, second = f"{world.namespace}-first", f"{world.namespace}-second"
    token_file, kubeconfig = tmp_path / "token", tmp_path / "token.kubeconfig"
    old = bound_token(world, first)
    token_file.write_text(old)
    config = json.loads(world.operator.settings.kubeconfig.read_text())
    config["users"][0]["user"] = {"tokenFile": str(token_file)}
    kubeconfig.write_text(json.dumps(config))
    world.operator.settings = replace(world.operator.settings, kubeconfig=kubeconfig, lease_seconds=PATIENT)
    world.operator.start()
    world.azure.cloud.put_image("early", group="legacy")
    world.apply(manifests.migration("early"))
    world.until_phase("early", "AwaitingVerification")

    token_file.write_text(bound_token(world, second))
    world.plane.kubectl("delete", "secret", first, f"--namespace={NAMESPACE}")
    world.plane.restart_api_server()  # it would believe what it has believed for some seconds more
    assert "Unauthorized" in _said_to(world, old)
    world.azure.cloud.put_image("late", group="legacy")
    world.apply(manifests.migration("late"))
    world.until_phase("late", "AwaitingVerification", within=120)
    assert world.operator.running
    assert len(world.operator.entries("listed")) == 1


def _said_to(world: World, token: str) -> str:
    kubeconfig = world.plane.kubeconfig_for(token=token, name=f"old-{world.namespace}")
    return world.plane.kubectl("get", "imig", "--all-namespaces", kubeconfig=kubeconfig, check=False).stderr
