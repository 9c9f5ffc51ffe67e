"""Where the admission policies are not there, the status says that anyone may have verified."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from imageferry.kube.client import Kubernetes
from imageferry.kube.policies import Policies
from tests import manifests
from tests.cluster import shared
from tests.cluster.world import World
from tests.controlplane import SERVICE_ACCOUNT, ControlPlane
from tests.operator_process import service_account_kubeconfig

POLICIES = Path(__file__).parents[2] / "deploy" / "policies"
POLICY, BINDING = "validatingadmissionpolicy", "validatingadmissionpolicybinding"
STATUS, SPEC = "imageferry-status", "imageferry-spec"
NARROW = {"matchResources": {"namespaceSelector": {"matchLabels": {"guarded": "yes"}}}}


@pytest.fixture
def policies(deployed: ControlPlane) -> Iterator[ControlPlane]:
    """Give the policies to be taken away, or changed; they are as they were afterwards."""
    yield deployed
    deployed.kubectl("delete", f"--kustomize={POLICIES}", "--ignore-not-found")
    deployed.kubectl("apply", f"--kustomize={POLICIES}")


@asynccontextmanager
async def looking(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Policies]:
    """Look with the rights of this account."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    async with Kubernetes() as kubernetes:
        yield Policies(kubernetes)


@pytest.mark.parametrize(
    ("words", "gap"),
    [
        pytest.param(("get", POLICY), None, id="all there"),
        pytest.param(("delete", POLICY, STATUS), f"there is no ValidatingAdmissionPolicy {STATUS}", id="no policy"),
        pytest.param(("delete", BINDING, SPEC), f"there is no ValidatingAdmissionPolicyBinding {SPEC}", id="unbound"),
        pytest.param(
            ("patch", BINDING, STATUS, "--type=merge", f"--patch={json.dumps({'spec': {'policyName': SPEC}})}"),
            f"there is no ValidatingAdmissionPolicyBinding {STATUS}",
            id="bound to another",
        ),
        pytest.param(
            ("patch", BINDING, STATUS, "--type=merge", '--patch={"spec":{"validationActions":["Audit"]}}'),
            f"the ValidatingAdmissionPolicyBinding {STATUS} does not deny",
            id="tells and does not deny",
        ),
        pytest.param(
            ("patch", BINDING, STATUS, "--type=merge", f"--patch={json.dumps({'spec': NARROW})}"),
            f"the ValidatingAdmissionPolicyBinding {STATUS} does not bind everywhere (matchResources)",
            id="bound in some namespaces",
        ),
        pytest.param(
            ("patch", POLICY, SPEC, "--type=merge", '--patch={"spec":{"failurePolicy":"Ignore"}}'),
            f"the ValidatingAdmissionPolicy {SPEC} lets pass what it fails to judge (failurePolicy)",
            id="open when it fails",
        ),
    ],
)
async def test_what_is_missing_is_seen(
    policies: ControlPlane, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], gap: str | None
) -> None:
    """With the operator's rights alone, which are a get of just these."""
    policies.kubectl(*words)

    async with looking(service_account_kubeconfig(policies, name="looker"), monkeypatch) as seen:
        await seen.look()

    assert seen.gap == gap


async def test_what_may_not_be_seen_is_taken_for_missing(
    policies: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator with the rights of an earlier release works, and says so."""
    token = policies.service_account_token(namespace, SERVICE_ACCOUNT)

    async with looking(policies.kubeconfig_for(token=token, name="blind"), monkeypatch) as seen:
        await seen.look()

    assert seen.gap == (
        f"whether the ValidatingAdmissionPolicy {STATUS} is there cannot be seen, for the operator may not get it"
    )


@pytest.mark.parametrize(
    ("verb", "resource", "allowed"),
    [
        ("get", f"{POLICY}/{STATUS}", "yes"),
        ("get", f"{BINDING}/{SPEC}", "yes"),
        ("get", f"{POLICY}/other", "no"),
        ("list", POLICY, "no"),
        ("update", f"{POLICY}/{STATUS}", "no"),
        ("delete", f"{BINDING}/{STATUS}", "no"),
        ("verify", "imagemigrations", "no"),
    ],
)
def test_the_operator_may_only_look(deployed: ControlPlane, verb: str, resource: str, allowed: str) -> None:
    """It cannot loosen what it is exempt from, and has no say over others."""
    user = "--as=system:serviceaccount:imageferry-system:imageferry"

    assert deployed.kubectl("auth", "can-i", verb, resource, user, check=False).stdout.split()[-1] == allowed


def test_the_status_says_so_for_as_long_as_it_is_so(policies: ControlPlane, tmp_path: Path) -> None:
    """In the message of Ready while a person is awaited, and with the guard afterwards; a restart costs no write."""
    gap = f"there is no ValidatingAdmissionPolicyBinding {STATUS}"
    says = f"Verification is unauthenticated: {gap}, so that whoever may patch imagemigrations/status may verify"
    unbind = ("delete", BINDING, STATUS)
    policies.kubectl(*unbind)
    with shared.running_world(policies, tmp_path, compare_seconds=0.5) as world:
        world.azure.cloud.put_image("open", group="legacy")
        world.apply(manifests.migration("open", sourceDeletion={"policy": "Retain"}))
        world.until_phase("open", "AwaitingVerification")
        assert says in _ready(world)

        _restart_and_look(world)
        policies.kubectl("apply", f"--kustomize={POLICIES}")
        world.wait(lambda: "unauthenticated" not in _ready(world), what="the policies seen")
        policies.kubectl(*unbind)
        world.wait(lambda: says in _ready(world), what="their absence seen")
        world.verify("open")
        world.until_phase("open", "Completed")
        assert says in _guard(world)


def _restart_and_look(world: World) -> None:
    before = world.get("open")["metadata"]["resourceVersion"]
    world.operator.stop()
    mark = world.azure.ledger.mark()
    world.operator.start()
    world.wait(lambda: world.azure.ledger.count("galleryImageVersions.get", since=mark) >= 2, what="two looks")
    assert world.get("open")["metadata"]["resourceVersion"] == before


def _ready(world: World) -> str:
    return str(world.condition("open", "Ready")["message"])


def _guard(world: World) -> str:
    guards = {each["name"]: each for each in world.status("open")["deletion"]["guards"]}
    return str(guards["VerificationCurrent"]["message"])
