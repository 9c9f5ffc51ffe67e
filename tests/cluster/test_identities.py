"""Who the operator is in Azure, and that the roles in deploy/azure are just what it needs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from imageferry.simulator import SUBSCRIPTION, FailOperation, Fault
from tests import manifests
from tests.cluster import shared
from tests.cluster.shared import conditions
from tests.cluster.test_brake import guard
from tests.cluster.world import World, opened
from tests.controlplane import ControlPlane
from tests.manifests import Json, gallery_id, image_id
from tests.operator_process import CLIENT_ID, REAPER_ID

ROLES = Path(__file__).parents[2] / "deploy" / "azure"
SCOPE = f"/subscriptions/{SUBSCRIPTION}"
COMPUTE = f"{SCOPE}/resourceGroups/legacy/providers/Microsoft.Compute"
KINDS = {
    "images": "images",
    "galleries": "galleries",
    "galleryImages": "galleries/images",
    "galleryImageVersions": "galleries/images/versions",
    "virtualMachines": "virtualMachines",
    "virtualMachineScaleSets": "virtualMachineScaleSets",
    "diskEncryptionSets": "diskEncryptionSets",
}
LOOKS = {
    "locks.list": "Microsoft.Authorization/locks/read",
    "usages.list": "Microsoft.Compute/locations/usages/read",
    "subscriptions.listLocations": "Microsoft.Resources/subscriptions/locations/read",
    "providers.get": "Microsoft.Resources/subscriptions/providers/read",
}
VERBS = {"get": "read", "list": "read", "createOrUpdate": "write", "delete": "delete"}
ALLOWED: Json = {"id": gallery_id("made"), "create": {"location": "westeurope"}}


def role(name: str, *, but: str = "") -> Json:
    """Return a role definition of ours, perhaps less one action."""
    form: Json = json.loads((ROLES / f"{name}.json").read_text(encoding="utf-8"))
    return form | {"Actions": [action for action in form["Actions"] if action != but]}


def used(world: World, identity: str) -> set[str]:
    """Return the actions that an identity used, by what the simulator was asked for and did not refuse."""
    entries = [each for each in world.azure.ledger.entries() if each.identity == identity and each.status != 403]
    return {LOOKS.get(each.operation) or _action(*each.operation.split(".")) for each in entries}


def _action(kind: str, verb: str) -> str:
    return f"Microsoft.Compute/{KINDS[kind]}/{VERBS[verb]}"


def unused(world: World, identity: str, *roles: str) -> tuple[set[str], set[str]]:
    """Return the actions of these roles that an identity did not use, and those used that they do not have."""
    granted = {action for name in roles for action in role(name)["Actions"]}
    seen = used(world, identity)
    idle = {action for action in granted if not any(fnmatchcase(each, action) for each in seen)}
    return idle, {each for each in seen if not any(fnmatchcase(each, action) for action in granted)}


def refused(status: Json) -> bool:
    """Whether a status says that Azure refuses the deletion for good."""
    return conditions(status).get("SourceDeleted", {}).get("reason") == "DeletionBlocked"


@contextmanager
def identified(plane: ControlPlane, folder: Path, roles: dict[str, Json], **settings: Any) -> Iterator[World]:
    """Give a running world in which these clients hold these roles, and nobody else any."""
    with opened(plane, folder, **settings) as world:
        for client, form in roles.items():
            world.azure.cloud.assign(client, form, scope=SCOPE)
        world.operator.start()
        yield world


def through_all(world: World) -> None:
    """Migrate one image into a gallery that is created, by a second build, edit the version, and let the image go."""
    cloud, there = world.azure.cloud, {"location": "westeurope", "properties": {}}
    machine = cloud.put(f"{COMPUTE}/virtualMachines/all", there)
    cloud.put_image("all", group="legacy", source_virtual_machine=machine)
    world.azure.faults.add(Fault(shared.PUT_VERSION, FailOperation(), times=1))
    regions: list[Json] = []
    for name in ("westeurope", "northeurope"):
        key = cloud.put(f"{COMPUTE}/diskEncryptionSets/{name}", there | {"location": name})
        regions.append({"name": name, "encryption": {"osDiskImage": {"diskEncryptionSetId": key}}})
    wanted: Json = {"gallery": ALLOWED, "version": {"targetRegions": regions}}
    world.apply(manifests.migration("all", **wanted))
    world.until_phase("all", "AwaitingVerification")
    wanted["version"]["tags"] = {"release": "spring"}
    world.apply(manifests.migration("all", **wanted))
    shared.until_settled(world, ["all"], "AwaitingVerification")
    world.verify("all")
    world.until_phase("all", "Completed")


def test_the_roles_are_just_what_a_migration_uses(deployed: ControlPlane, tmp_path: Path) -> None:
    """Every right is used and none is missing; the reaper sends the DELETE of the image and nothing else."""
    both = role("migrator")["Actions"] + role("subscription-role")["Actions"]
    roles = {CLIENT_ID: {"Actions": both}, REAPER_ID: role("reaper")}
    with identified(deployed, tmp_path, roles, deletion_identity="Separate") as world:
        through_all(world)

        assert unused(world, CLIENT_ID, "migrator", "subscription-role") == (set(), set())
        assert unused(world, REAPER_ID, "reaper") == (set(), set())
        assert [each.status for each in world.azure.ledger.entries() if each.status == 403] == []
        assert [each.operation for each in world.azure.ledger.entries() if each.identity == REAPER_ID] == [
            "images.delete"
        ]
        assert world.azure.cloud.get(image_id("all")) is None
        assert world.operator.entries("one identity migrates and deletes") == []


def test_plans_need_no_right_to_write(deployed: ControlPlane, tmp_path: Path) -> None:
    """The read-only role is enough for mode Plan, and all of it is used."""
    with identified(deployed, tmp_path, {CLIENT_ID: role("reader")}) as world:
        world.azure.cloud.put_image("plan", group="legacy")
        world.apply(manifests.migration("plan", mode="Plan"))
        status = world.until_phase("plan", "Planned")

        assert len(status["plan"]) == 3
        assert used(world, CLIENT_ID) == set(role("reader")["Actions"])
        assert {verb.rpartition("/")[2] for verb in role("reader")["Actions"]} == {"read"}
        assert world.operator.entries("one identity migrates and deletes")


def test_without_an_identity_nothing_is_deleted(deployed: ControlPlane, tmp_path: Path) -> None:
    """The guard names the setting, whatever roles there are."""
    with identified(deployed, tmp_path, {CLIENT_ID: {"Actions": ["*"]}}, deletion_identity="None") as world:
        world.azure.cloud.put_image("none", group="legacy")
        world.apply(manifests.migration("none"))
        world.until_phase("none", "AwaitingVerification")
        world.verify("none")
        said = guard(world.until_phase("none", "DeletionBlocked"), "DeletionEnabled")

        assert "IMAGEFERRY_DELETION_IDENTITY" in said["message"]
        assert world.azure.ledger.count("images.delete") == 0


@pytest.mark.parametrize("right", ["virtualMachines", "virtualMachineScaleSets"])
def test_what_it_may_not_look_at_may_use_the_image(deployed: ControlPlane, tmp_path: Path, right: str) -> None:
    """A right that is missing is named and holds the deletion back; when it is there, it goes on by itself."""
    action = f"Microsoft.Compute/{right}/read"
    roles = {CLIENT_ID: role("migrator", but=action), REAPER_ID: role("reaper")}
    with identified(deployed, tmp_path, roles, deletion_identity="Separate") as world:
        world.azure.cloud.put_image("blind", group="legacy")
        world.apply(manifests.migration("blind"))
        world.until_phase("blind", "AwaitingVerification")
        world.verify("blind")
        status = world.until_phase("blind", "DeletionBlocked")

        assert f"lacks {action} in the image's subscription" in guard(status, "NoConsumers")["message"]
        assert conditions(status)["Ready"]["status"] == "True"
        assert world.azure.ledger.count("images.delete") == 0

        world.azure.cloud.assign(CLIENT_ID, role("migrator"), scope=SCOPE)
        world.until_phase("blind", "Completed")


def test_a_reaper_without_its_role_deletes_nothing(deployed: ControlPlane, tmp_path: Path) -> None:
    """The migrator's rights do not step in for it."""
    roles = {CLIENT_ID: {"Actions": ["*"]}, REAPER_ID: role("reader")}
    with identified(deployed, tmp_path, roles, deletion_identity="Separate") as world:
        world.azure.cloud.put_image("kept", group="legacy")
        world.apply(manifests.migration("kept"))
        world.until_phase("kept", "AwaitingVerification")
        world.verify("kept")
        status = world.until("kept", refused, what="the refusal told")

        assert status["error"]["code"] == "AuthorizationFailed"
        assert f"'{REAPER_ID}'" in status["error"]["message"]
        assert "Microsoft.Compute/images/delete" in status["error"]["message"]
        assert world.azure.cloud.get(image_id("kept"))
