"""Guards of a deletion in the whole: what fails just before the delete keeps the image."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imageferry.simulator import SUBSCRIPTION, Call
from tests import manifests
from tests.cluster import shared
from tests.cluster.consumers import SCALE_SETS, scale_set
from tests.cluster.shared import conditions
from tests.cluster.test_brake import guard
from tests.cluster.test_identities import refused
from tests.cluster.world import World
from tests.controlplane import ControlPlane
from tests.manifests import Json, gallery_id, image_id

DELETE = "images.delete"
LEGACY = image_id("x").rpartition("/providers/")[0]
NAMES = ["fleeted", "locked", "retained"]


@pytest.fixture(scope="module")
def world(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give a running world in which some migrations wait to be verified."""
    with shared.running_world(deployed, tmp_path_factory.mktemp("guards")) as made:
        for name in NAMES:
            made.azure.cloud.put_image(name, group="legacy")
        shared.apply_all(made, [manifests.migration(name) for name in NAMES])
        shared.until_phases(made, NAMES, "AwaitingVerification")
        yield made


def in_the_deletion_pass(world: World, act: Callable[[], object]) -> None:
    """Do something once, when the operator has evaluated all but the last guards and lists what uses the image."""
    done: list[Call] = []

    def see(call: Call) -> None:
        if call.operation == "virtualMachines.list" and call.when == "before" and not done:
            done.append(call)
            act()

    world.azure.hooks.append(see)


def test_a_scale_set_that_comes_just_before_the_delete_keeps_the_image(world: World) -> None:
    """It is named in the guard and in the status, an Event tells of it; a restart meanwhile costs no write."""
    fleet = f"{SCALE_SETS}/fleet"
    in_the_deletion_pass(world, lambda: world.azure.cloud.put(fleet, scale_set(image_id("fleeted").upper())))
    world.verify("fleeted")
    status = world.until_phase("fleeted", "DeletionBlocked")

    assert fleet in guard(status, "NoConsumers")["message"]
    assert status["deletion"]["consumers"] == [{"id": fleet, "kind": "VirtualMachineScaleSet"}]
    events = json.loads(world.kubectl("get", "events", "--output=json").stdout)["items"]
    assert [each["reason"] for each in events if each["message"].startswith("NoConsumers: 1 still need")] == [
        "GuardBlocks"
    ]

    writes = len(world.writes("fleeted"))
    world.operator.kill()
    world.operator.start()
    shared.look_again(world, "fleeted")
    assert len(world.writes("fleeted")) == writes + 1  # the echo of the token
    assert world.azure.ledger.count(DELETE, resource=image_id("fleeted")) == 0

    world.azure.cloud.remove(fleet)
    world.until_phase("fleeted", "Completed")


def test_a_lock_is_shown_with_its_scope_and_asked_again_slowly(world: World) -> None:
    """409 ScopeLocked names the group; the migration goes on when the lock is gone."""
    lock = world.azure.cloud.put_lock("keep", scope=LEGACY)
    world.verify("locked")
    status = world.until("locked", refused, what="the lock told")

    assert status["error"]["code"] == "ScopeLocked"
    assert f"'{LEGACY}'" in status["error"]["message"]
    assert "remove the lock in Azure" in conditions(status)["SourceDeleted"]["message"]
    assert "operation" not in status
    assert world.azure.cloud.get(image_id("locked"))
    assert world.azure.ledger.count(DELETE, effect="accepted", resource=image_id("locked")) == 0

    world.azure.cloud.remove_lock(lock)
    world.until_phase("locked", "Completed")
    assert world.azure.ledger.count(DELETE, effect="accepted", resource=image_id("locked")) == 1


def test_retain_that_is_said_just_before_the_delete_keeps_the_image(world: World) -> None:
    """The edit is unheard when the operator decides; its announcement is refused."""
    retain = json.dumps({"spec": {"sourceDeletion": {"policy": "Retain"}}})
    patch = ("patch", "imig", "retained", "--type=merge", f"--patch={retain}")
    in_the_deletion_pass(world, lambda: world.kubectl(*patch))
    world.verify("retained")
    world.until_phase("retained", "Completed")

    assert world.azure.cloud.get(image_id("retained"))
    assert world.azure.ledger.count(DELETE, resource=image_id("retained")) == 0


def test_another_teams_image_is_out_of_reach(deployed: ControlPlane, tmp_path: Path) -> None:
    """A namespace without an entry: nothing is looked at or sent; what another may use does not help it."""
    scopes = {"another": {"source": ["*"], "gallery": ["*"]}}
    with shared.running_world(deployed, tmp_path, scopes=json.dumps(scopes)) as world:
        world.azure.cloud.put_image("theirs", group="legacy")
        world.apply(manifests.migration("theirs"))
        said = conditions(world.until_phase("theirs", "Stalled"))["Stalled"]

        assert said["reason"] == "ScopeNotAllowed"
        assert f"migrations in namespace {world.namespace} may not use {image_id('theirs')}" in said["message"]
        assert world.azure.ledger.entries() == []


def test_a_scope_that_is_taken_away_after_the_verification_keeps_the_image(
    deployed: ControlPlane, tmp_path: Path
) -> None:
    """The next operator asks anew; given back, the deletion goes on."""
    with shared.running_world(deployed, tmp_path) as world:
        world.azure.cloud.put_image("left", group="legacy")
        world.apply(manifests.migration("left"))
        world.until_phase("left", "AwaitingVerification")
        world.operator.stop()
        world.verify("left")
        scope: Json = {"source": [f"{LEGACY}-2", f"/subscriptions/{SUBSCRIPTION}/resourceGroups/leg"]}
        for source, phase in ((scope["source"], "Stalled"), ([LEGACY], "Completed")):
            entry = {world.namespace: {"source": source, "gallery": [gallery_id()]}}
            world.settings["scopes"] = json.dumps(entry)
            world.operator = world.make_operator(tmp_path / f"{phase}.log")
            world.operator.start()
            status = world.until_phase("left", phase)
            if phase == "Stalled":
                assert not guard(status, "ScopeAllowed")["passed"]
                assert world.azure.ledger.count(DELETE) == 0
            world.operator.stop()
        assert world.azure.ledger.count(DELETE, effect="accepted") == 1
