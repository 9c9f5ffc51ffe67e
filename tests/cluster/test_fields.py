"""Every field of the spec has an effect, and here is the test that shows it.

What is a field in ARM is looked at in the cloud's state; what is not shows itself in what
was sent, or in the status. A field of the schema without such a test fails by its name.
All migrations stand side by side under one operator.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imageferry.api import crd
from imageferry.simulator import SUBSCRIPTION
from tests import manifests
from tests.cluster import shared
from tests.cluster.consumers import SCALE_SETS, scale_set
from tests.cluster.shared import PUT_DEFINITION, PUT_VERSION, conditions, definition_id, dig, state, version_id
from tests.cluster.world import World
from tests.controlplane import ControlPlane
from tests.manifests import Json, gallery_id, image_id

RETAIN: Json = {"policy": "Retain"}
SETS = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/keys/providers/Microsoft.Compute/diskEncryptionSets"
GRACE = 3600
WAIVER: Json = {"guard": "NoConsumers", "reason": "the fleet is retired, CHG-1234"}
FULL: Json = {
    "gallery": {
        "id": gallery_id("made"),
        "create": {"location": "northeurope", "description": "Golden images.", "tags": {"team": "images"}},
    },
    "definition": {
        "name": "webdef",
        "identifier": {"publisher": "contoso", "offer": "weboffer", "sku": "2019-datacenter"},
        "osType": "Windows",
        "hyperVGeneration": "V2",
        "securityType": "TrustedLaunchSupported",
        "purchasePlan": {"name": "planname", "publisher": "planpublisher", "product": "planproduct"},
        "features": [
            {"name": "DiskControllerTypes", "value": "SCSI, NVMe"},
            {"name": "IsAcceleratedNetworkSupported", "value": "True"},
        ],
        "description": "Web servers.",
        "eula": "https://contoso.example/eula",
        "privacyStatementUri": "https://contoso.example/privacy",
        "releaseNoteUri": "https://contoso.example/notes",
        "endOfLifeDate": "2041-02-03",
        "recommended": {"vCPUs": {"min": 2, "max": 16}, "memory": {"min": 8, "max": 64}},
        "disallowed": {"diskTypes": ["Standard_LRS"]},
        "tags": {"kept-by": "web"},
    },
    "version": {
        "name": "3.1.4",
        "targetRegions": [
            {
                "name": "uksouth",
                "regionalReplicaCount": 3,
                "storageAccountType": "Premium_LRS",
                "excludeFromLatest": True,
                "encryption": {
                    "osDiskImage": {"diskEncryptionSetId": f"{SETS}/uk-os"},
                    "dataDiskImages": [{"lun": 0, "diskEncryptionSetId": f"{SETS}/uk-data"}],
                },
            },
            {
                "name": "westeurope",
                "encryption": {
                    "osDiskImage": {"diskEncryptionSetId": f"{SETS}/we-os"},
                    "dataDiskImages": [{"lun": 0, "diskEncryptionSetId": f"{SETS}/we-data"}],
                },
            },
        ],
        "replicaCount": 2,
        "storageAccountType": "Standard_ZRS",
        "latest": "Exclude",
        "endOfLifeDate": "2040-01-02T05:00:00+02:00",
        "safetyProfile": {"blockDeletionBeforeEndOfLife": True},
        "tags": {"release": "spring"},
    },
    "sourceDeletion": RETAIN,
}
GALLERY, DEFINITION = gallery_id("made"), definition_id("webdef", gallery="made")
VERSION = version_id("webdef", gallery="made", version="3.1.4")
PROFILE = "properties.publishingProfile"


@dataclass(frozen=True)
class InAzure:
    """A field that ARM stores: where, and as what."""

    resource: str
    path: str
    value: Any


IN_AZURE: dict[str, InAzure] = {
    "gallery.id": InAzure(GALLERY, "name", "made"),
    "gallery.create.location": InAzure(GALLERY, "location", "northeurope"),
    "gallery.create.description": InAzure(GALLERY, "properties.description", "Golden images."),
    "gallery.create.tags": InAzure(GALLERY, "tags.team", "images"),
    "source.managedImageId": InAzure(VERSION, "properties.storageProfile.source.id", image_id("full")),
    "definition.name": InAzure(DEFINITION, "name", "webdef"),
    "definition.identifier.publisher": InAzure(DEFINITION, "properties.identifier.publisher", "contoso"),
    "definition.identifier.offer": InAzure(DEFINITION, "properties.identifier.offer", "weboffer"),
    "definition.identifier.sku": InAzure(DEFINITION, "properties.identifier.sku", "2019-datacenter"),
    "definition.securityType": InAzure(
        DEFINITION, "properties.features.0", {"name": "SecurityType", "value": "TrustedLaunchSupported"}
    ),
    "definition.purchasePlan.name": InAzure(DEFINITION, "properties.purchasePlan.name", "planname"),
    "definition.purchasePlan.publisher": InAzure(DEFINITION, "properties.purchasePlan.publisher", "planpublisher"),
    "definition.purchasePlan.product": InAzure(DEFINITION, "properties.purchasePlan.product", "planproduct"),
    "definition.features[].name": InAzure(DEFINITION, "properties.features.2.name", "IsAcceleratedNetworkSupported"),
    "definition.features[].value": InAzure(DEFINITION, "properties.features.1.value", "SCSI, NVMe"),
    "definition.description": InAzure(DEFINITION, "properties.description", "Web servers."),
    "definition.eula": InAzure(DEFINITION, "properties.eula", "https://contoso.example/eula"),
    "definition.privacyStatementUri": InAzure(
        DEFINITION, "properties.privacyStatementUri", "https://contoso.example/privacy"
    ),
    "definition.releaseNoteUri": InAzure(DEFINITION, "properties.releaseNoteUri", "https://contoso.example/notes"),
    "definition.endOfLifeDate": InAzure(DEFINITION, "properties.endOfLifeDate", "2041-02-03T00:00:00Z"),
    "definition.recommended.vCPUs.min": InAzure(DEFINITION, "properties.recommended.vCPUs.min", 2),
    "definition.recommended.vCPUs.max": InAzure(DEFINITION, "properties.recommended.vCPUs.max", 16),
    "definition.recommended.memory.min": InAzure(DEFINITION, "properties.recommended.memory.min", 8),
    "definition.recommended.memory.max": InAzure(DEFINITION, "properties.recommended.memory.max", 64),
    "definition.disallowed.diskTypes": InAzure(DEFINITION, "properties.disallowed.diskTypes", ["Standard_LRS"]),
    "definition.tags": InAzure(DEFINITION, "tags.kept-by", "web"),
    "version.name": InAzure(VERSION, "name", "3.1.4"),
    "version.targetRegions[].name": InAzure(VERSION, f"{PROFILE}.targetRegions.0.name", "UK South"),
    "version.targetRegions[].regionalReplicaCount": InAzure(
        VERSION, f"{PROFILE}.targetRegions.0.regionalReplicaCount", 3
    ),
    "version.targetRegions[].storageAccountType": InAzure(
        VERSION, f"{PROFILE}.targetRegions.0.storageAccountType", "Premium_LRS"
    ),
    "version.targetRegions[].excludeFromLatest": InAzure(
        VERSION, f"{PROFILE}.targetRegions.0.excludeFromLatest", value=True
    ),
    "version.targetRegions[].encryption.osDiskImage.diskEncryptionSetId": InAzure(
        VERSION, f"{PROFILE}.targetRegions.0.encryption.osDiskImage.diskEncryptionSetId", f"{SETS}/uk-os"
    ),
    "version.targetRegions[].encryption.dataDiskImages[].diskEncryptionSetId": InAzure(
        VERSION, f"{PROFILE}.targetRegions.1.encryption.dataDiskImages.0.diskEncryptionSetId", f"{SETS}/we-data"
    ),
    "version.targetRegions[].encryption.dataDiskImages[].lun": InAzure(
        VERSION, f"{PROFILE}.targetRegions.0.encryption.dataDiskImages.0.lun", 0
    ),
    "version.replicaCount": InAzure(VERSION, f"{PROFILE}.targetRegions.1.regionalReplicaCount", 2),
    "version.storageAccountType": InAzure(VERSION, f"{PROFILE}.targetRegions.1.storageAccountType", "Standard_ZRS"),
    "version.endOfLifeDate": InAzure(VERSION, f"{PROFILE}.endOfLifeDate", "2040-01-02T03:00:00Z"),
    "version.safetyProfile.blockDeletionBeforeEndOfLife": InAzure(
        VERSION, "properties.safetyProfile.blockDeletionBeforeEndOfLife", value=True
    ),
    "version.tags": InAzure(VERSION, "tags.release", "spring"),
}

OTHERS: dict[str, Json] = {
    "bare": {"sourceDeletion": RETAIN},
    "shallow": {"version": {"replicationMode": "Shallow"}, "sourceDeletion": RETAIN},
    "joining": {"version": {"latest": "JoinWhenVerified"}, "sourceDeletion": RETAIN},
    "excluded": {"version": {"latest": "Exclude"}, "sourceDeletion": RETAIN},
    "contradicted-os": {"definition": {"osType": "Windows"}},
    "contradicted-generation": {"definition": {"hyperVGeneration": "V1"}},
    "suspended": {"suspend": True},
    "planned": {"mode": "Plan"},
    "deleted": {"sourceDeletion": {"policy": "Delete"}},
    "retained": {"sourceDeletion": RETAIN},
    "graced": {"sourceDeletion": {"graceSeconds": GRACE}},
    "approved": {},
    "expiring": {"verification": {"validForSeconds": 2}, "sourceDeletion": RETAIN},
    "used": {},
    "waived": {"sourceDeletion": {"waivers": [WAIVER]}},
    "ready-replicated": {"readyWhen": "Replicated"},
    "ready-verified": {"readyWhen": "Verified", "sourceDeletion": {"graceSeconds": GRACE}},
    "ready-complete": {"readyWhen": "Complete", "sourceDeletion": {"graceSeconds": GRACE}},
}
STAND = {
    "contradicted-os": "Stalled",
    "contradicted-generation": "Stalled",
    "suspended": "Suspended",
    "planned": "Planned",
}
"""Where those come to stand that are not verified here."""
VERIFIED = (
    "joining",
    "expiring",
    "used",
    "waived",
    "deleted",
    "retained",
    "graced",
    "ready-replicated",
    "ready-verified",
    "ready-complete",
)
ENDS = {
    **dict.fromkeys(("joining", "retained", "deleted", "approved", "waived"), "Completed"),
    "used": "DeletionBlocked",
    "expiring": "AwaitingVerification",
}
"""Where those come to stand that are; the others wait for their grace."""


@dataclass(frozen=True)
class Seen:
    """All that became of it."""

    world: World
    before: dict[str, Json]
    """Statuses when everything stood and nothing was verified."""
    unverified: Json
    """The version that joins when verified, before that."""
    after: dict[str, Json]


@pytest.fixture(scope="module")
def seen(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Let all come to a stand, verify some, let them come to a stand again."""
    with shared.running_world(deployed, tmp_path_factory.mktemp("fields")) as world:
        cloud = world.azure.cloud
        cloud.put_image("full", group="legacy", os_type="Windows", data_disks=(64,))
        for name in ("uk-os", "uk-data", "we-os", "we-data"):
            location = "uksouth" if name.startswith("uk") else "westeurope"
            cloud.put(f"{SETS}/{name}", {"location": location})
        now = datetime.now(UTC)
        for name, spec in OTHERS.items():
            cloud.put_image(name, group="legacy", created_at=now - timedelta(hours=2))
            if "graceSeconds" in spec.get("sourceDeletion", {}):  # counts real seconds, so the version is no newer
                definition = cloud.put_definition(name, gallery=gallery_id())
                published = now - timedelta(hours=1)
                cloud.put_version("1.0.0", definition=definition, source=image_id(name), published=published)
        wanted = {"full": FULL} | OTHERS
        shared.apply_all(world, [manifests.migration(name, **spec) for name, spec in wanted.items()])
        for phase in ("AwaitingVerification", *STAND.values()):
            names = [name for name in wanted if STAND.get(name, "AwaitingVerification") == phase]
            shared.until_phases(world, names, phase)
        before, unverified = shared.statuses(world), state(world, version_id("joining"))
        for name in ("used", "waived"):
            cloud.put(f"{SCALE_SETS}/{name}", scale_set(image_id(name)))
        for name in VERIFIED:
            world.verify(name)
        approval: Json = {"verification": {"approvedDigest": before["approved"]["proof"]["digest"]}}
        world.apply(manifests.migration("approved", **approval))
        for name, phase in ENDS.items():
            shared.until_phases(world, [name], phase)
        world.until("expiring", lambda s: conditions(s)["Verified"]["status"] == "Unknown", what="the end")
        shared.until_phases(world, set(VERIFIED) - set(ENDS) - {"ready-replicated"}, "Deleting")
        yield Seen(world, before, unverified, shared.statuses(world))


Test = Callable[..., None]
SHOWN: dict[str, Test] = {}


def shows(*fields: str) -> Callable[[Test], Test]:
    """Say of which fields a test shows the effect."""

    def register(test: Test) -> Test:
        SHOWN.update(dict.fromkeys(fields, test))
        return test

    return register


def leaves(node: Json, path: str = "") -> Iterator[str]:
    """Give the paths of all fields that hold a value; entries of a list are []."""
    if "properties" in node:
        for name, child in node["properties"].items():
            yield from leaves(child, f"{path}.{name}" if path else name)
    elif "properties" in node.get("items", {}):
        yield from leaves(node["items"], f"{path}[]")
    else:
        yield path


FIELDS = list(leaves(crd.schema()["properties"]["spec"]))


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_the_schema_has_a_test_of_its_effect(field: str) -> None:
    """A field that does nothing is not in the schema; one that does something shows it in this file."""
    assert field in SHOWN


def test_no_test_speaks_of_a_field_that_is_not_there() -> None:
    """The registry has no leftovers, and the walk sees lists in lists."""
    assert set(SHOWN) <= set(FIELDS)
    assert "version.targetRegions[].encryption.dataDiskImages[].lun" in FIELDS


@shows(*IN_AZURE)
@pytest.mark.parametrize("field", IN_AZURE)
def test_azure_stores_what_the_spec_says(seen: Seen, field: str) -> None:
    """Field by field, as ARM answers it: display names, UTC, canonical casing."""
    wanted = IN_AZURE[field]

    assert dig(state(seen.world, wanted.resource), wanted.path) == wanted.value


@pytest.mark.parametrize("field", IN_AZURE)
def test_azure_stores_something_else_where_the_spec_is_silent(seen: Seen, field: str) -> None:
    """So the table above cannot hold by chance: the default of every field differs."""
    wanted = IN_AZURE[field]
    bare = {
        GALLERY: gallery_id(),
        DEFINITION: definition_id("bare"),
        VERSION: version_id("bare"),
    }[wanted.resource]

    assert dig(state(seen.world, bare), wanted.path) != wanted.value


@shows("definition.osType", "definition.hyperVGeneration")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("contradicted-os", "osType is Windows, wanted Linux"),
        ("contradicted-generation", "hyperVGeneration is V1, wanted V2"),
    ],
)
def test_os_and_generation_are_compared_with_the_image(seen: Seen, name: str, says: str) -> None:
    """They can only agree with it: the migration stalls before anything is sent; where they agree they are sent."""
    said = conditions(seen.before[name])["Stalled"]

    assert said["reason"] == "DefinitionContradictsSource"
    assert says in said["message"]
    assert shared.sent(seen.world, name) == []
    (put,) = seen.world.azure.ledger.mutations(PUT_DEFINITION, resource=DEFINITION)
    assert put.body is not None
    assert (put.body["properties"]["osType"], put.body["properties"]["hyperVGeneration"]) == ("Windows", "V2")


@shows("version.replicationMode")
@pytest.mark.parametrize(("name", "mode"), [("shallow", "Shallow"), ("bare", "Full")])
def test_the_replication_mode_is_sent(seen: Seen, name: str, mode: str) -> None:
    """Full where nothing is said."""
    assert dig(state(seen.world, version_id(name)), f"{PROFILE}.replicationMode") == mode


@shows("version.latest")
@pytest.mark.parametrize(("name", "excluded"), [("bare", False), ("excluded", True), ("joining", False)])
def test_latest_says_whether_the_version_may_be_the_latest(seen: Seen, name: str, *, excluded: bool) -> None:
    """Join at once, never, or once it is verified."""
    assert dig(state(seen.world, version_id(name)), f"{PROFILE}.excludeFromLatest") is excluded


def test_a_version_that_joins_when_verified_is_excluded_before(seen: Seen) -> None:
    """It joins by one update, also where the image is retained."""
    assert dig(seen.unverified, f"{PROFILE}.excludeFromLatest") is True
    effects = [e.effect for e in seen.world.azure.ledger.mutations(PUT_VERSION, resource=version_id("joining"))]
    assert effects == ["created", "updated"]


@shows("suspend")
def test_a_suspended_migration_asks_nothing_of_azure(seen: Seen) -> None:
    """Not even a look."""
    assert seen.before["suspended"]["phase"] == "Suspended"
    assert seen.world.azure.ledger.count(resource="/images/suspended") == 0


@shows("mode")
def test_a_planned_migration_sends_nothing(seen: Seen) -> None:
    """It tells the calls."""
    status = seen.before["planned"]

    assert [call["action"] for call in status["plan"]] == ["CreateDefinition", "CreateVersion", "DeleteImage"]
    assert shared.sent(seen.world, "planned") == []


@shows("sourceDeletion.policy")
@pytest.mark.parametrize(("name", "deletions"), [("deleted", 1), ("retained", 0)])
def test_the_policy_says_what_becomes_of_the_image(seen: Seen, name: str, deletions: int) -> None:
    """Both are verified and Completed; one image is gone."""
    assert seen.after[name]["phase"] == "Completed"
    assert seen.world.azure.ledger.count("images.delete", resource=image_id(name)) == deletions
    assert (seen.world.azure.cloud.get(image_id(name)) is None) is bool(deletions)


@shows("sourceDeletion.graceSeconds")
def test_the_grace_holds_the_deletion_back(seen: Seen) -> None:
    """Everything else holds; the guard tells until when."""
    status = seen.after["graced"]
    guards = {each["name"]: each for each in status["deletion"]["guards"]}

    assert not guards["GraceElapsed"]["passed"]
    assert guards["GraceElapsed"]["message"].startswith("the grace ends at ")
    assert guards["VerificationCurrent"]["passed"]
    assert seen.world.azure.ledger.count("images.delete", resource=image_id("graced")) == 0


@shows("verification.approvedDigest")
def test_an_approved_digest_verifies(seen: Seen) -> None:
    """Nobody has set the condition, and the image is gone."""
    status = seen.after["approved"]

    assert "Verified" not in conditions(status)
    assert status["verification"]["method"] == "ApprovedDigest"
    assert seen.world.azure.ledger.count("images.delete", resource=image_id("approved"), effect="accepted") == 1


@shows("verification.validForSeconds")
def test_a_verification_expires(seen: Seen) -> None:
    """The condition is taken back; the others still stand."""
    said = conditions(seen.after["expiring"])["Verified"]

    assert (said["status"], said["reason"]) == ("Unknown", "Expired")
    assert "verification" not in seen.after["expiring"]
    assert conditions(seen.after["retained"])["Verified"]["status"] == "True"


@shows("sourceDeletion.waivers[].guard", "sourceDeletion.waivers[].reason")
def test_a_waived_guard_does_not_hold_the_deletion_back(seen: Seen) -> None:
    """A scale set names both images; the reason of the waiver outlasts the image."""
    used, waived = (
        {each["name"]: each for each in seen.after[name]["deletion"]["guards"]} for name in ("used", "waived")
    )

    assert not used["NoConsumers"]["passed"]
    assert (waived["NoConsumers"]["passed"], waived["NoConsumers"]["waived"]) == (True, WAIVER["reason"])
    assert seen.world.azure.cloud.get(image_id("used"))
    assert seen.world.azure.cloud.get(image_id("waived")) is None


@shows("readyWhen")
@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("ready-replicated", "True", "True"),
        ("ready-verified", "False", "True"),
        ("ready-complete", "False", "False"),
        ("deleted", "True", "True"),
    ],
)
def test_ready_when_names_the_state_that_makes_it_ready(seen: Seen, name: str, before: str, after: str) -> None:
    """Replicated and not verified; then verified, with a grace before the deletion."""
    found = [conditions(statuses[name])["Ready"]["status"] for statuses in (seen.before, seen.after)]

    assert found == [before, after]
    assert ("Reconciling" in conditions(seen.after[name])) is (after == "False")
