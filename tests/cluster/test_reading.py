"""What people and programs read: resources of another release, kubectl's tables, messages, Events."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from imageferry.simulator import SimulatorServer
from tests import manifests
from tests.cluster.world import SPEED, World
from tests.controlplane import SERVICE_ACCOUNT, ControlPlane, until
from tests.manifests import Json

DEPLOY = Path(__file__).parents[2] / "deploy"
CRD = "imagemigrations.imageferry.dev"
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

NEWER_SPEC: Json = {
    "version": {"targetRegions": [{"name": "westeurope", "additionalReplicaSets": [{"regionalReplicaCount": 1}]}]},
    "verification": {"approval": "Required"},
}
NEWER_STATUS: Json = {
    "health": "Good",
    "history": [{"at": "2026-01-01"}],
    "replication": {"summary": "0/1", "regions": [{"name": "westeurope", "state": "Pending", "repairs": 1}]},
}


@dataclass(frozen=True)
class Broken:
    """A spec that this release cannot read, and what has to be said of it."""

    spec: Any
    says: str


def spec(**changes: Any) -> Any:
    """Return a spec with changes laid over a good one."""
    return manifests.migration("broken", **changes)["spec"]


BROKEN: dict[str, Broken] = {
    "broken-version": Broken(spec(version={"name": "1.0"}), "spec.version.name: must be three numbers"),
    "broken-range": Broken(spec(version={"name": "1.0.2147483648"}), "spec.version.name: each of the three numbers"),
    "broken-image": Broken(spec(source={"managedImageId": "web"}), "spec.source.managedImageId: must be the id of"),
    "broken-gallery": Broken(spec(gallery={"id": manifests.gallery_id("a-b")}), "spec.gallery.id: a gallery name has"),
    "broken-region": Broken(spec(version={"targetRegions": [{"name": "West Europe"}]}), "spec.version.targetRegions.0"),
    "broken-replicas": Broken(spec(version={"replicaCount": 0}), "spec.version.replicaCount: "),
    "broken-mode": Broken(spec(version={"replicationMode": "Copy"}), "spec.version.replicationMode: "),
    "broken-suspend": Broken(spec(suspend="perhaps"), "spec.suspend: "),
    "without-source": Broken({**spec(), "source": None}, "spec.source: "),
    "source-as-text": Broken({**spec(), "source": "web"}, "spec.source: "),
    "spec-as-text": Broken("web", "spec: "),
    "spec-empty": Broken({}, "spec.source: "),
}


@contextmanager
def world_on(plane: ControlPlane, folder: Path) -> Iterator[World]:
    """Give a world on a control plane, its operator not started."""
    namespace = plane.create_namespace()
    kubectl = partial(plane.kubectl, f"--namespace={namespace}")
    with ExitStack() as stack:
        azure = stack.enter_context(SimulatorServer(speed=SPEED))
        world = World(plane, azure, namespace=namespace, kubectl=kubectl, folder=folder)
        stack.callback(world.close)
        yield world


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give a world whose API server takes any ImageMigration, as one with another release's CRD may.

    In it stand resources of a newer release and some that cannot be read, beside a good one.
    """
    with ExitStack() as stack:
        plane = stack.enter_context(ControlPlane())
        plane.kubectl("apply", f"--kustomize={DEPLOY}")
        plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", f"crd/{CRD}")
        plane.kubectl("delete", f"--kustomize={DEPLOY / 'policies'}")  # they refuse what is no ImageMigration at all
        patch = [{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": ANYTHING}]
        plane.kubectl("patch", "crd", CRD, "--type=json", f"--patch={json.dumps(patch)}")
        world = stack.enter_context(world_on(plane, tmp_path_factory.mktemp("lenient")))
        unread = {**manifests.migration("probe"), "spec": "text"}
        until(lambda: not dry_run(world, unread).returncode, what="the permissive schema", within=30, every=0.2)
        for name in ("good", "newer", "newer-phase"):
            world.azure.cloud.put_image(name, group="legacy")
        world.apply(manifests.migration("good"))
        for name in ("newer", "newer-phase"):
            world.apply(manifests.migration(name, **NEWER_SPEC))
        world.patch_status("newer", NEWER_STATUS)
        world.patch_status("newer-phase", {"phase": "AwaitingVerification"})
        bodies = [{**manifests.migration(name), "spec": broken.spec} for name, broken in BROKEN.items()]
        world.kubectl("create", "--filename=-", input="\n---\n".join(map(manifests.text, bodies)))
        world.operator.start()
        yield world


def dry_run(world: World, manifest: Json) -> subprocess.CompletedProcess[str]:
    """Ask the API server whether it would take a manifest."""
    return world.kubectl("create", "--dry-run=server", "--filename=-", input=manifests.text(manifest), check=False)


def conditions(status: Json) -> dict[str, Json]:
    """Return the conditions by type."""
    return {each["type"]: each for each in status.get("conditions", [])}


def test_a_resource_of_a_newer_release_is_read(lenient: World) -> None:
    """Fields that this release does not know are ignored, and stay as they are."""
    status = lenient.until_phase("newer", "AwaitingVerification")

    kept = {name: NEWER_STATUS[name] for name in ("health", "history")}
    assert {name: status[name] for name in kept} == kept
    assert lenient.get("newer")["spec"]["verification"] == NEWER_SPEC["verification"]


def test_a_phase_of_a_newer_release_is_written_over(lenient: World) -> None:
    """The phase is output: whatever stands there, the operator tells what it sees."""
    lenient.until_phase("newer-phase", "AwaitingVerification")

    stored = [(entry.response or {}).get("status", {}).get("phase") for entry in lenient.writes("newer-phase")]
    assert "Stalled" not in stored


@pytest.mark.parametrize("name", BROKEN)
def test_a_spec_that_cannot_be_read_stalls_with_its_field(lenient: World, name: str) -> None:
    """Nobody else is affected, and the message says where to look."""
    status = lenient.until_phase(name, "Stalled")

    said = conditions(status)
    assert (said["Stalled"]["status"], said["Stalled"]["reason"]) == ("True", "InvalidSpec")
    assert said["Ready"]["status"] == "False"
    assert BROKEN[name].says in said["Stalled"]["message"]
    assert "correct the field" in said["Stalled"]["message"]
    assert status["observedGeneration"] == lenient.get(name)["metadata"]["generation"]


def test_a_spec_that_cannot_be_read_is_an_event(lenient: World) -> None:
    """As every other stall is."""
    lenient.until_phase("broken-suspend", "Stalled")

    assert events(lenient, "broken-suspend") == [("Warning", "InvalidSpec")]


def test_beside_broken_ones_a_good_one_goes_on(lenient: World) -> None:
    """Up to the deletion, for which all other migrations are looked at."""
    lenient.until_phase("good", "AwaitingVerification")
    lenient.verify("good")

    lenient.until_phase("good", "Completed")


def test_a_corrected_spec_goes_on(lenient: World) -> None:
    """The mark goes with its cause."""
    lenient.until_phase("broken-version", "Stalled")
    lenient.azure.cloud.put_image("broken-version", group="legacy")
    lenient.kubectl("replace", "--filename=-", input=manifests.text(manifests.migration("broken-version")))

    status = lenient.until_phase("broken-version", "AwaitingVerification")
    assert {"Stalled", "Reconciling"}.isdisjoint(conditions(status))


def test_broken_ones_are_marked_once(lenient: World) -> None:
    """The mark is not written again while nothing changes."""
    name = "broken-mode"
    lenient.until_phase(name, "Stalled")
    lenient.until_phase("newer", "AwaitingVerification")

    assert len(lenient.writes(name)) == 1


@pytest.fixture(scope="module")
def told(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give a world with one migration that awaits verification, and one that was stalled before."""
    with world_on(deployed, tmp_path_factory.mktemp("told")) as world:
        world.azure.cloud.put_image("web", group="legacy")
        world.operator.start()
        for name in ("web", "late"):
            world.apply(manifests.migration(name, regions=["westeurope", "northeurope"]))
        world.until_phase("late", "Stalled")
        mark = world.azure.ledger.mark()
        world.wait(
            lambda: world.azure.ledger.count("*Versions.get", resource="/images/late/", since=mark) > 1, what="looks"
        )
        world.azure.cloud.put_image("late", group="legacy")
        for name in ("web", "late"):
            world.until_phase(name, "AwaitingVerification")
        yield world


def table(world: World, *words: str) -> dict[str, dict[str, str]]:
    """Return what `kubectl get` shows, by name and column; columns are at least three spaces apart."""
    header, *rows = world.kubectl("get", "imig", *words).stdout.splitlines()
    starts = [match.start() for match in re.finditer(r"\S+", header)]
    cells = [[row[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)] for row in (header, *rows)]
    return {row[0]: dict(zip(cells[0], row, strict=True)) for row in cells[1:]}


def test_get_shows_where_it_stands(told: World) -> None:
    """Phase, regions, progress, verification and the source's fate fit one line."""
    row = table(told)["web"]

    assert list(row) == ["NAME", "PHASE", "REGIONS", "PROGRESS", "VERIFIED", "SOURCE", "AGE", "WHY"]
    assert (row["PHASE"], row["REGIONS"], row["PROGRESS"], row["SOURCE"]) == (
        "AwaitingVerification",
        "2/2",
        "100",
        "Present",
    )


def test_get_wide_shows_what_to_do(told: World) -> None:
    """The wide table adds readiness, definition, version and the message."""
    row = table(told, "--output=wide")["web"]

    assert list(row)[-4:] == ["READY", "DEFINITION", "VERSION", "MESSAGE"]
    assert (row["READY"], row["DEFINITION"], row["VERSION"]) == ("True", "web", "1.0.0")
    assert row["MESSAGE"].startswith(
        "Every wanted region is Completed. Try the version, then verify it: kubectl auth whoami -o "
    )


@pytest.mark.parametrize("words", ["imig", "imagemigration", "imagemigrations", "azure", f"{CRD}"])
def test_it_is_found_by_all_its_names(told: World, words: str) -> None:
    """Short name, singular, plural, category and full name lead to it."""
    found = told.kubectl("get", words, "--output=name").stdout.split()

    assert "imagemigration.imageferry.dev/web" in found


def test_describe_tells_the_story(told: World) -> None:
    """Conditions with their reasons, each region, and the Events."""
    text = told.kubectl("describe", "imig", "web").stdout

    for part in ("AllRegionsCompleted", "northeurope", "VersionRequested", "imageferry", "Digest:"):
        assert part in text


def test_explain_describes_every_field(told: World) -> None:
    """What `kubectl explain` says of the version: defaults, enums, and what cannot be changed."""
    text = told.kubectl("explain", "imagemigration.spec.version").stdout

    for part in ("The image version that is built", "-required-", "Immutable", "enum: Full, Shallow", "Default: 1."):
        assert part in text
    assert "<no description>" not in told.kubectl("explain", "imagemigration", "--recursive").stdout


@pytest.mark.parametrize("kind", ["Replicated", "Ready", "VersionReady", "DefinitionReady", "PreflightPassed"])
def test_wait_returns_at_once(told: World, kind: str) -> None:
    """Scripts wait for conditions; those that hold let them go on."""
    assert not told.kubectl("wait", "imig/web", f"--for=condition={kind}", "--timeout=5s").returncode


def test_wait_does_not_mistake_a_condition(told: World) -> None:
    """What has not come true yet times out."""
    done = told.kubectl("wait", "imig/web", "--for=condition=SourceDeleted", "--timeout=1s", check=False)

    assert done.returncode
    assert "timed out" in done.stderr


@pytest.fixture(scope="module")
def account(told: World) -> Path:
    """Bind the verifier's role, and nothing else, to the namespace's account; gives its kubeconfig."""
    world, subject = told, f"--serviceaccount={told.namespace}:{SERVICE_ACCOUNT}"
    world.kubectl("create", "rolebinding", "verifier", "--clusterrole=imageferry-verifier", subject)
    token = world.plane.service_account_token(world.namespace, SERVICE_ACCOUNT)
    path = world.plane.kubeconfig_for(token=token, name=f"verifier-{world.namespace}", namespace=world.namespace)
    may = ("auth", "can-i", "patch", "imig", "--subresource=status")
    until(lambda: not world.kubectl(*may, kubeconfig=path, check=False).returncode, what="the grant")
    return path


def events(world: World, name: str) -> list[tuple[str, str]]:
    """Return type and reason of a migration's Events, in the order in which they were written."""
    found = json.loads(world.kubectl("get", "events", f"--field-selector=involvedObject.name={name}", "-o=json").stdout)
    items = sorted(found["items"], key=lambda item: int(item["metadata"]["resourceVersion"]))
    return [(item["type"], item["reason"]) for item in items]


def test_a_verifier_may_use_a_plain_patch(told: World, account: Path) -> None:
    """`kubectl patch --subresource=status` reads before it writes; what it carries of a spec changes nothing."""
    veto = {"op": "add", "path": "/status/conditions/-", "value": {"type": "Verified", "status": "False"}}
    patch = json.dumps([{"op": "add", "path": "/spec/suspend", "value": True}, veto])
    told.kubectl("patch", "imig", "late", "--subresource=status", "--type=json", f"--patch={patch}", kubeconfig=account)

    assert not told.get("late")["spec"]["suspend"]
    assert told.condition("late", "Verified")["status"] == "False"


def test_a_verifier_verifies_and_can_do_nothing_else(told: World, account: Path) -> None:
    """The command of the message works with the verifier's role alone, which gives no hold on the spec."""
    suspended = '--patch={"spec":{"suspend":true}}'
    for words in (
        ("patch", "imig", "web", "--type=merge", suspended),
        ("delete", "imig", "web"),
        ("get", "secrets"),
        ("create", "--filename=-"),
    ):
        done = told.kubectl(*words, input=manifests.text(manifests.migration("x")), kubeconfig=account, check=False)
        assert "Forbidden" in done.stderr, words
    told.shell(manifests.command_of(told.condition("web", "Ready")["message"]), kubeconfig=account)

    status = told.until_phase("web", "Completed")
    assert status["verification"]["digest"] == status["proof"]["digest"]
    assert status["verification"]["by"] == f"system:serviceaccount:{told.namespace}:{SERVICE_ACCOUNT}"
    assert (table(told)["web"]["VERIFIED"], table(told)["web"]["SOURCE"]) == ("True", "Deleted")


GUARDS = ("GuardBlocks", "GuardHolds")
"""Events of guards, which come between the steps; they have tests of their own."""
STEPS = ["DefinitionRequested", "VersionRequested", "Replicated", "Verified", "SourceDeletionRequested", "Completed"]


def test_events_tell_transitions_once(told: World) -> None:
    """One for each step of a whole migration."""
    if told.status("web")["phase"] == "AwaitingVerification":
        told.verify("web")
    told.until_phase("web", "Completed")

    steps = [each for each in events(told, "web") if each[1] not in GUARDS]
    assert sorted(steps) == sorted(("Normal", reason) for reason in STEPS)


def test_events_are_in_the_order_of_what_happened(told: World) -> None:
    """Verified comes before the deletion that it allowed."""
    assert [reason for _, reason in events(told, "web") if reason not in GUARDS] == STEPS


def test_a_stall_is_one_event_however_often_it_is_seen(told: World) -> None:
    """A warning when it begins, none for the looks after it."""
    assert events(told, "late") == [
        ("Warning", "SourceMissing"),
        ("Normal", "DefinitionRequested"),
        ("Normal", "VersionRequested"),
        ("Normal", "Replicated"),
    ]
