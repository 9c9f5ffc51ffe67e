"""What is found before the first write, in a whole cluster: nothing is sent, and it is told with the cure.

All cases stand side by side under one operator and in one Azure that has a full region, regions
without access, locks, keys and machines. Each is planned by a second resource too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from imageferry.simulator import SUBSCRIPTION
from tests import manifests
from tests.cluster import shared
from tests.cluster.shared import conditions, definition_id, sent, version_id
from tests.cluster.world import World
from tests.controlplane import ControlPlane
from tests.manifests import Json, gallery_id, image_id

GROUPS = f"/subscriptions/{SUBSCRIPTION}/resourceGroups"
SETS = f"{GROUPS}/keys/providers/Microsoft.Compute/diskEncryptionSets"
MACHINES = f"{GROUPS}/legacy/providers/Microsoft.Compute/virtualMachines"
ANOTHER = "00000000-0000-0000-0000-0000000000bb"
PLAN = {"name": "p", "publisher": "q", "product": "r"}
OTHER_PLAN = {"name": "p", "publisher": "x", "product": "r"}
FULL = "swedencentral"
MOST = 60
RETAIN: Json = {"sourceDeletion": {"policy": "Retain"}}
Given = Callable[[World, str], object]


def image(**parts: Any) -> Given:
    """Let there be an image."""
    return lambda world, name: world.azure.cloud.put_image(name, **{"group": "legacy", **parts})


def captured(plan: Json | None, *, then: Given | None = None) -> Given:
    """Let there be an image that was captured from a machine; None: which is gone."""

    def given(world: World, name: str) -> None:
        machine = f"{MACHINES}/{name}"
        if plan is not None:
            world.azure.cloud.put(machine, {"location": "westeurope", "plan": plan, "properties": {}})
        world.azure.cloud.put_image(name, group="legacy", source_virtual_machine=machine)
        if then:
            then(world, name)

    return given


def definition(plan: Json | None = None) -> Given:
    """Let there be a definition that somebody made."""

    def given(world: World, name: str) -> None:
        there = world.azure.cloud.put_definition(name, gallery=gallery_id())
        if plan:
            shared.change_in_azure(world, there, lambda body: body["properties"].update(purchasePlan=plan))

    return given


def locked_gallery(world: World, name: str) -> None:
    """Let the gallery's group be read-only."""
    world.azure.cloud.put_image(name, group="legacy")
    world.azure.cloud.put_group("frozen")
    world.azure.cloud.put_gallery("frozen", group="frozen")
    world.azure.cloud.put_lock("freeze", scope=f"{GROUPS}/frozen", level="ReadOnly")


def locked_image(world: World, name: str) -> None:
    """Let a lock keep the image."""
    world.azure.cloud.put_lock("keep", scope=world.azure.cloud.put_image(name, group="legacy"))


def encrypted(key: str) -> Json:
    """Ask for customer keys."""
    keys = {"osDiskImage": {"diskEncryptionSetId": key}}
    return {"version": {"targetRegions": [{"name": "westeurope", "encryption": keys}]}}


@dataclass(frozen=True)
class Case:
    """What stands in Azure, what is wanted, what is found, and what cures it there (where that is possible)."""

    given: Given
    finding: str
    says: tuple[str, ...]
    spec: Json = field(default_factory=dict)
    cure: Given | None = None


BLOCKED: dict[str, Case] = {
    "mars": Case(
        image(),
        "RegionNotEnabled",
        ("spec.version.targetRegions: marsnorth is no region of subscription", "correct the name"),
        {"version": {"targetRegions": [{"name": "marsnorth"}]}},
    ),
    "not-enabled": Case(
        image(),
        "RegionNotEnabled",
        ("qatarcentral is no region", "have the region enabled"),
        {"version": {"targetRegions": [{"name": "qatarcentral"}]}},
        cure=lambda world, _: set_rules(world, disabled_regions=()),
    ),
    "not-offered": Case(
        image(),
        "RegionNotOffered",
        ("spec.version.targetRegions: Azure has no gallery images in polandcentral",),
        {"version": {"targetRegions": [{"name": "polandcentral"}]}},
        cure=lambda world, _: set_rules(world, unoffered_regions=()),
    ),
    "no-zones": Case(
        image(),
        "ZonesMissing",
        ("ukwest has no availability zones", "list it anew with storageAccountType Standard_LRS"),
        {"version": {"targetRegions": [{"name": "ukwest", "storageAccountType": "Standard_ZRS"}]}},
    ),
    "full": Case(
        image(location=FULL),
        "QuotaUsedUp",
        (f"all {MOST} image versions that subscription {SUBSCRIPTION} may have in {FULL}", "ask Azure for more"),
        cure=lambda world, _: set_rules(world, quotas={}),
    ),
    "frozen": Case(
        locked_gallery,
        "GalleryLocked",
        (f"spec.gallery.id: the lock freeze on {GROUPS}/frozen is ReadOnly", "remove it in Azure"),
        {"gallery": {"id": gallery_id("frozen", group="frozen")}},
        cure=lambda world, _: world.azure.cloud.remove_lock(
            f"{GROUPS}/frozen/providers/Microsoft.Authorization/locks/freeze"
        ),
    ),
    "no-key": Case(
        image(),
        "EncryptionSetMissing",
        (f"there is no disk encryption set {SETS}/later", "create it"),
        encrypted(f"{SETS}/later"),
        cure=lambda world, _: world.azure.cloud.put(f"{SETS}/later", {"location": "westeurope"}),
    ),
    "key-elsewhere": Case(
        lambda world, name: (
            world.azure.cloud.put_image(name, group="legacy"),
            world.azure.cloud.put(f"{SETS}/uk", {"location": "uksouth"}),
        ),
        "EncryptionSetMisplaced",
        (f"the disk encryption set {SETS}/uk is in uksouth",),
        encrypted(f"{SETS}/uk"),
    ),
    "key-of-others": Case(
        image(),
        "EncryptionSetElsewhere",
        (f"has to be in the subscription of the gallery, {SUBSCRIPTION}",),
        encrypted(f"{SETS.replace(SUBSCRIPTION, ANOTHER)}/keys"),
    ),
    "plan-contradicts": Case(
        captured(PLAN),
        "PurchasePlanContradictsSource",
        ("spec.definition: purchasePlan.publisher is x, wanted q", "leave it out"),
        {"definition": {"purchasePlan": OTHER_PLAN}},
    ),
    "plan-lacks": Case(
        captured(PLAN, then=definition()),
        "PurchasePlanMismatch",
        ("purchasePlan.name is absent, wanted p", "purchasePlan.product is absent, wanted r", "delete this one"),
        cure=lambda world, name: world.azure.cloud.remove(definition_id(name)),
    ),
    "plan-other": Case(
        captured(PLAN, then=definition(OTHER_PLAN)),
        "PurchasePlanMismatch",
        ("purchasePlan.publisher is x, wanted q",),
    ),
    "lun-missing": Case(
        image(data_disks=(64,)),
        "EncryptionIncomplete",
        ("once for each LUN of the image (0)", "it has it for the OS disk and LUNs none"),
        encrypted(f"{SETS}/fits"),
    ),
    "shallow-elsewhere": Case(
        image(),
        "ShallowNotAlone",
        ("a Shallow version has one region, that of the image (westeurope)",),
        {"version": {"replicationMode": "Shallow", "targetRegions": [{"name": "uksouth"}]}, **RETAIN},
    ),
}
PASSED: dict[str, Case] = {
    "kept": Case(
        locked_image,
        "SourceLocked",
        ("the lock keep on", "will stop the deletion of the image", "remove it before the end"),
    ),
    "plan-read": Case(captured(PLAN), "PurchasePlanRead", ("name p, publisher q, product r is read from",)),
    "machine-gone": Case(captured(None), "PurchasePlanUnknown", ("is gone or cannot be read", "from the Marketplace")),
    "many": Case(image(), "ManyReplicas", ("westeurope gets 60 copies",), {"version": {"replicaCount": 60}}),
    "abroad": Case(
        image(subscription=ANOTHER),
        "SourceInAnotherSubscription",
        (f"the image is in subscription {ANOTHER} and the gallery in {SUBSCRIPTION}", "images/read in"),
        {"source": {"managedImageId": image_id("abroad", subscription=ANOTHER)}},
    ),
}


def set_rules(world: World, **rules: Any) -> None:
    """Change rules of the simulated cloud."""
    world.azure.cloud.rules = replace(world.azure.cloud.rules, **rules)


@dataclass(frozen=True)
class Seen:
    """What was told while all were stopped, and what had been sent by then."""

    world: World
    statuses: dict[str, Json]
    planned: dict[str, Json]
    sent: dict[str, list[str]]


@pytest.fixture(scope="module")
def seen(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Let all be looked at, and planned."""
    with shared.running_world(deployed, tmp_path_factory.mktemp("preflight")) as world:
        cloud = world.azure.cloud
        cloud.put(f"{SETS}/fits", {"location": "westeurope"})
        crowd = cloud.put_definition("crowd", gallery=gallery_id(), location=FULL)
        for number in range(MOST):
            cloud.put_version(f"0.0.{number}", definition=crowd, location=FULL)
        set_rules(
            world,
            quotas={"GalleryImageVersion": MOST},
            disabled_regions=("qatarcentral",),
            unoffered_regions=("polandcentral",),
        )
        cases = BLOCKED | PASSED
        for name, case in cases.items():
            case.given(world, name)
        plans = [manifests.migration(name, mode="Plan", **case.spec) for name, case in cases.items()]
        shared.apply_all(world, plans)
        shared.until_phases(world, cases, "Planned")
        planned = shared.statuses(world)
        before = {name: [entry.operation for entry in sent(world, name)] for name in cases}
        assert not any(before.values()), before
        shared.apply_all(world, [manifests.migration(name, **case.spec) for name, case in cases.items()])
        shared.until_phases(world, BLOCKED, "Stalled")
        shared.until_phases(world, PASSED, "AwaitingVerification")
        done = {name: [entry.operation for entry in sent(world, name)] for name in cases}
        yield Seen(world, shared.statuses(world), planned, done)


def reasons(status: Json) -> list[tuple[str, str]]:
    """Return severities and reasons of what was found."""
    return [(each["severity"], each["reason"]) for each in status.get("findings", [])]


@pytest.mark.parametrize("name", BLOCKED)
def test_what_blocks_is_told_and_nothing_is_sent(seen: Seen, name: str) -> None:
    """In the status, in PreflightPassed and in Stalled, with field and cure; the ledger shows no write."""
    case, status = BLOCKED[name], seen.statuses[name]
    said = conditions(status)

    assert ("Blocks", case.finding) in reasons(status)
    assert (said["Stalled"]["reason"], said["PreflightPassed"]["reason"]) == (case.finding, case.finding)
    assert said["PreflightPassed"]["status"] == "False"
    assert [words for words in case.says if words not in said["Stalled"]["message"]] == []
    assert seen.sent[name] == []


@pytest.mark.parametrize("name", PASSED)
def test_what_does_not_block_is_told_and_gone_on_with(seen: Seen, name: str) -> None:
    """It stays told while the version is built: that is when somebody looks."""
    case, status = PASSED[name], seen.statuses[name]
    told = conditions(status)["PreflightPassed"]

    assert case.finding in [reason for _, reason in reasons(status)]
    assert (told["status"], told["reason"]) == ("True", "Passed")
    assert [words for words in case.says if words not in told["message"]] == []


@pytest.mark.parametrize("name", [*BLOCKED, *PASSED])
def test_a_plan_finds_the_same(seen: Seen, name: str) -> None:
    """Before anything is switched on, with the same severities."""
    wanted = [each for each in reasons(seen.statuses[name]) if each[1] != "NotLookedAt"]

    assert reasons(seen.planned[name]) == wanted


def test_the_definition_has_the_plan_of_the_captured_machine(seen: Seen) -> None:
    """So that machines can be made of the version (a managed image does not carry it)."""
    there = shared.state(seen.world, definition_id("plan-read"))

    assert there["properties"]["purchasePlan"] == PLAN


CURED = [name for name, case in BLOCKED.items() if case.cure]


def test_a_cure_in_azure_alone_lets_it_go_on(seen: Seen) -> None:
    """The resource is not touched: what is looked at again shows the cure."""
    for name in CURED:
        cure = BLOCKED[name].cure
        assert cure is not None
        cure(seen.world, name)
    shared.until_phases(seen.world, CURED, "AwaitingVerification")
    for name in CURED:
        assert reasons(seen.world.status(name)) in ([], [("Notes", "PurchasePlanRead")])
    others = set(BLOCKED) - set(CURED)
    assert {seen.world.status(name)["phase"] for name in others} == {"Stalled"}
    assert shared.state(seen.world, version_id("full"))["properties"]["provisioningState"] == "Succeeded"
