"""The Lease on a real API server: who holds it, who takes it over and when, and what becomes of a loser."""

import asyncio
import json
import os
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imageferry.kube.election import LOST, Election
from imageferry.kube.lease import LeaseTiming
from tests import lease, manifests
from tests.cluster.world import World
from tests.controlplane import ControlPlane, Kubectl, process, until
from tests.operator_process import OperatorProcess
from tests.proxy import TcpProxy

QUICK = LeaseTiming(lease=15, renew=10.0, retry=0.2)
SOON = 3
"""Seconds of the Lease where a test has to see it expire."""
BOUND = 30.0
Json = dict[str, Any]


class Bench:
    """Candidates in this process, and the Lease of a namespace as an admin sees it."""

    def __init__(self, kubectl: Kubectl, namespace: str, stack: AsyncExitStack) -> None:
        self._kubectl = kubectl
        self._stack = stack
        self.namespace = namespace

    async def candidate(self, timing: LeaseTiming = QUICK) -> Election:
        """Start one; it leaves when the test ends."""
        return await self._stack.enter_async_context(Election(namespace=self.namespace, timing=timing))

    async def spec(self) -> Json:
        """Return what the Lease says."""
        found = await self.admin("get", "lease", "imageferry", "--output=json", "--ignore-not-found")
        spec: Json = json.loads(found)["spec"] if found else {}
        return spec

    async def put(self, **spec: Any) -> None:
        """Create the Lease."""
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "imageferry"}}
        await self.admin("create", "--filename=-", text=json.dumps(body | {"spec": spec}))

    async def renew_for_another(self) -> None:
        """Write to it as its holder does, with the very same times."""
        await self.admin("annotate", "lease", "imageferry", "--overwrite", f"n={os.urandom(4).hex()}")

    async def admin(self, *words: str, text: str | None = None) -> str:
        """Run kubectl, beside the candidates of this loop."""
        return (await asyncio.to_thread(self._kubectl, *words, input=text)).stdout


@pytest.fixture
async def bench(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    """Give a namespace with no Lease yet, and candidates that may do all."""
    monkeypatch.setenv("KUBECONFIG", str(control_plane.admin_kubeconfig))
    async with AsyncExitStack() as stack:
        yield Bench(kubectl, namespace, stack)


async def wait(look: Callable[[], object], what: str) -> None:
    """Wait for a state of this process."""
    await asyncio.to_thread(until, look, what=what, within=BOUND)


async def test_of_many_candidates_one_leads(bench: Bench) -> None:
    """They see the same Lease at the same time; the API server lets one of them have it."""
    await bench.put()
    candidates = [await bench.candidate() for _ in range(6)]
    await wait(lambda: any(each.held for each in candidates), "a leader")
    for _ in range(5):  # the others look again and again
        await bench.spec()
        assert len([each for each in candidates if each.held]) == 1
    spec = await bench.spec()
    assert [each.identity for each in candidates if each.held] == [spec["holderIdentity"]]
    assert (spec["leaseTransitions"], spec["leaseDurationSeconds"]) == (1, 15)


async def test_its_holder_renews_it(bench: Bench) -> None:
    """Again and again, since when it leads stays."""
    await bench.put()
    leader = await bench.candidate()
    await leader.acquired()
    first = await bench.spec()
    seen = {first["renewTime"]}
    while len(seen) < 4:
        seen.add((await bench.spec())["renewTime"])
    last = await bench.spec()
    assert leader.held
    assert (last["acquireTime"], last["leaseTransitions"]) == (first["acquireTime"], first["leaseTransitions"])


async def test_a_label_on_the_lease_costs_nobody_the_lead(bench: Bench) -> None:
    """A write of another's makes the next renewal a conflict; the holder looks, and is still the holder."""
    await bench.put()
    leader = await bench.candidate()
    await leader.acquired()
    await bench.renew_for_another()
    touched = (await bench.spec())["renewTime"]
    while (await bench.spec())["renewTime"] == touched:
        assert leader.held
    assert (
        "n" in json.loads(await bench.admin("get", "lease", "imageferry", "--output=json"))["metadata"]["annotations"]
    )


async def test_whoever_leaves_hands_it_over(bench: Bench) -> None:
    """Without a wait for its expiry, which would be 15 s."""
    await bench.put()
    async with Election(namespace=bench.namespace, timing=QUICK) as first:
        await first.acquired()
        second = await bench.candidate()
    assert not first.held
    await wait(lambda: second.held, "the second leads")
    spec = await bench.spec()
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == (second.identity, 2)


@pytest.mark.parametrize("renewed", ["1999-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z"])
async def test_expiry_is_not_judged_by_wall_clocks(bench: Bench, renewed: str) -> None:
    """As long as it is written to, it is held, whatever its times say; then it is taken, whatever they say."""
    await bench.put(holderIdentity="other", leaseDurationSeconds=5, renewTime=renewed, acquireTime=renewed)
    candidate = await bench.candidate()
    for _ in range(10):
        await bench.renew_for_another()
        assert not candidate.held
    assert (await bench.spec())["holderIdentity"] == "other"
    await wait(lambda: candidate.held, "the take-over")
    assert (await bench.spec())["leaseTransitions"] == 1


async def test_a_missing_lease_is_created_after_its_duration(bench: Bench) -> None:
    """It may have been deleted under a holder that believes in it still; somebody else who is quicker has it."""
    cautious = await bench.candidate(replace(QUICK, lease=3600))
    for _ in range(5):
        assert await bench.spec() == {}
    assert not cautious.held
    first = await bench.candidate(replace(QUICK, lease=1))
    await wait(lambda: first.held, "the Lease created")
    assert (await bench.spec())["leaseTransitions"] == 0


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[TcpProxy]:
    """Give a way to the API server that can fail."""
    with TcpProxy("127.0.0.1", control_plane.port) as between:
        yield between


def test_it_is_kept_and_lost_whatever_the_event_loop_does(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str, proxy: TcpProxy, tmp_path: Path
) -> None:
    """A loop that stands still does not cost the Lease, and does not keep a process alive that lost it."""
    kubectl("create", "--filename=-", input=json.dumps(_offered(namespace)))
    kubeconfig = control_plane.kubeconfig_for(
        token=control_plane.service_account_token(namespace, "operator"),
        name=f"holder-{namespace}",
        server=f"https://127.0.0.1:{proxy.url_port}",
    )
    kubectl("create", "role", "leases", "--verb=get,update,create", "--resource=leases")
    kubectl("create", "rolebinding", "leases", "--role=leases", f"--serviceaccount={namespace}:operator")
    program = [sys.executable, str(Path(__file__).with_name("holder.py")), namespace, str(SOON)]
    with ExitStack() as stack:
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        holder = process.start(program, name="holder", log=tmp_path / "holder.log", env=environment)
        stack.callback(holder.kill)
        seen: set[str] = set()

        def renewed() -> bool:
            found = json.loads(kubectl("get", "lease", "imageferry", "--output=json").stdout)
            seen.add(found["spec"].get("renewTime", ""))
            return len(seen) > 12  # 0.4 s apart: far longer than the Lease lasts by itself

        until(renewed, what="renewals while the loop stands still", within=BOUND)
        proxy.cut()
        until(lambda: holder.ended, what="the end of the process", within=BOUND)
    assert holder.exit_code == LOST
    assert "could not be renewed in time" in holder.tail()


def _offered(namespace: str) -> Json:
    metadata = {"name": "imageferry", "namespace": namespace}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": {}}


class Pair:
    """A leader and a standby, as a Deployment runs them."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.leader = world.operator
        self.standby = world.make_operator(folder / "standby.log")

    def start(self) -> None:
        """Start the leader first, and wait until the other is a candidate."""
        self.leader.start()
        self.standby.start(wait=False)
        self.world.wait(lambda: self.standby.entries("candidate"), what="the standby")

    def hasten(self) -> None:
        """Let the Lease expire soon."""
        for each in (self.leader, self.standby):
            each.settings = replace(each.settings, lease_seconds=SOON)

    def loses(self, operator: OperatorProcess) -> str:
        """Wait for the end of one that lost the Lease; return its last words."""
        self.world.wait(lambda: not operator.running, what="the end of the loser")
        assert operator.exit_code == LOST
        return str(operator.entries("lease lost")[0]["why"])

    def leads(self, operator: OperatorProcess) -> None:
        """Wait until this one leads and has read all migrations."""
        self.world.wait(lambda: operator.leads and operator.entries("listed"), what="the take-over")


@pytest.fixture
def pair(world: World, tmp_path: Path) -> Pair:
    """Give two operators, not started yet."""
    return Pair(world, tmp_path)


def test_a_standby_is_well_and_does_nothing(pair: Pair) -> None:
    """It answers its liveness probe, reads no list and has no log of a pass; the leader does the work."""
    pair.start()
    pair.world.azure.cloud.put_image("one", group="legacy")
    pair.world.apply(manifests.migration("one"))
    pair.world.until_phase("one", "AwaitingVerification")
    pair.world.wait(lambda: _healthy(pair.standby.settings.liveness), what="the standby's liveness")
    assert not pair.standby.leads
    assert pair.standby.entries("listed") == pair.standby.entries("status") == pair.standby.entries("acted") == []


def test_sigterm_hands_the_work_over(pair: Pair) -> None:
    """The Lease is given up, not left to expire, and the other goes on where the first was."""
    pair.start()
    pair.world.azure.cloud.put_image("on", group="legacy")
    pair.world.apply(manifests.migration("on"))
    pair.world.until_phase("on", "AwaitingVerification")
    pair.leader.stop()
    assert pair.leader.entries("lease given up")
    assert pair.leader.exit_code == 0
    pair.leads(pair.standby)
    pair.world.verify("on")
    pair.world.until_phase("on", "Completed")
    assert pair.world.azure.ledger.count("images.delete", effect="accepted") == 1


def test_a_killed_leader_is_replaced_when_its_lease_expires(pair: Pair) -> None:
    """Nobody gives it up."""
    pair.hasten()
    pair.start()
    pair.leader.kill()
    pair.leads(pair.standby)


def test_a_leader_that_cannot_renew_ends_and_is_replaced(world: World, proxy: TcpProxy, tmp_path: Path) -> None:
    """Its connections are half-open: no error comes, only silence."""
    cut_off = world.make_operator(tmp_path / "cut-off.log", server=f"https://127.0.0.1:{proxy.url_port}")
    pair = Pair(world, tmp_path)
    pair.leader = cut_off
    pair.hasten()
    pair.start()
    proxy.cut()
    assert "could not be renewed in time" in pair.loses(cut_off)
    pair.leads(pair.standby)


def test_a_short_cut_is_survived(world: World, proxy: TcpProxy, tmp_path: Path) -> None:
    """One lost renewal is not a lost Lease."""
    operator = world.make_operator(tmp_path / "cut-off.log", server=f"https://127.0.0.1:{proxy.url_port}")
    operator.start()
    world.apply(manifests.migration("seen"))
    world.until_phase("seen", "Stalled")  # kopf's first look around is over: it does not survive a cut
    proxy.refuse()
    world.wait(lambda: operator.entries("lease"), what="a renewal that failed")
    proxy.restore()
    before = lease.read(world.plane)["spec"]["renewTime"]
    world.wait(lambda: lease.read(world.plane)["spec"]["renewTime"] != before, what="the next renewal")
    assert operator.leads


def test_a_stopped_leader_that_wakes_ends(pair: Pair) -> None:
    """It was replaced while it stood still, and finds out before anything else."""
    pair.hasten()
    pair.start()
    pair.leader.pause()
    pair.leads(pair.standby)
    pair.leader.resume()
    pair.loses(pair.leader)
    assert pair.standby.leads


def take_by_force(plane: ControlPlane) -> None:
    """Name another holder."""
    patch = json.dumps({"spec": {"holderIdentity": "intruder"}})
    plane.kubectl("patch", "lease", lease.NAME, f"--namespace={lease.NAMESPACE}", "--type=merge", f"--patch={patch}")


def delete(plane: ControlPlane) -> None:
    """Delete it, and leave one without holder to those who come after."""
    plane.kubectl("delete", "lease", lease.NAME, f"--namespace={lease.NAMESPACE}")


@pytest.mark.parametrize(
    ("change", "why"),
    [pytest.param(take_by_force, "intruder", id="taken"), pytest.param(delete, "None", id="deleted")],
)
def test_a_leader_whose_lease_was_taken_ends_at_once(
    world: World, change: Callable[[ControlPlane], None], why: str
) -> None:
    """It does not write itself in again: whoever took it may act already."""
    world.operator.start()
    change(world.plane)
    world.wait(lambda: not world.operator.running, what="the end of the loser")
    spec = lease.read(world.plane).get("spec", {})
    _restore(world.plane)
    assert world.operator.exit_code == LOST
    assert why in str(world.operator.entries("lease lost")[0]["why"])
    assert spec.get("holderIdentity") in ("intruder", None)


def _restore(plane: ControlPlane) -> None:
    plane.kubectl("delete", "lease", lease.NAME, f"--namespace={lease.NAMESPACE}", "--ignore-not-found")
    lease.offer(plane)


@pytest.mark.parametrize(
    ("verb", "name", "allowed"),
    [
        ("get", "/imageferry", "yes"),
        ("update", "/imageferry", "yes"),
        ("create", "", "yes"),
        ("update", "/other", "no"),
        ("delete", "/imageferry", "no"),
        ("list", "", "no"),
    ],
)
def test_its_rights_are_no_more_than_it_needs(deployed: ControlPlane, verb: str, name: str, allowed: str) -> None:
    """One Lease, in its own namespace."""
    user = "--as=system:serviceaccount:imageferry-system:imageferry"
    words = ("auth", "can-i", verb, f"leases.coordination.k8s.io{name}", f"--namespace={lease.NAMESPACE}", user)
    assert deployed.kubectl(*words, check=False).stdout.strip() == allowed


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own endpoint
            return bool(answer.status == 200)
    except OSError:
        return False
