"""What Azure refuses, with its codes: at the gateway, by the provider, and only in the operation."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imageferry.simulator import SimulatorServer
from tests.simulator.conftest import (
    COMPUTE,
    DEFINITION,
    GALLERY,
    GROUP,
    IMAGE,
    VERSION,
    Arm,
    definition_body,
    version_body,
)

NOBODY = "/subscriptions/00000000-0000-0000-0000-0000000000ff"


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        pytest.param("GET", f"{NOBODY}/providers/{COMPUTE}/images", 404, "InvalidResourceType", id="odd-path"),
        pytest.param("GET", f"{NOBODY}/{COMPUTE}/images", 404, "SubscriptionNotFound", id="subscription"),
        pytest.param("GET", f"{GROUP}/none/{COMPUTE}/images/web", 404, "ResourceGroupNotFound", id="group"),
        pytest.param("DELETE", f"{GROUP}/none/{COMPUTE}/images/web", 404, "ResourceGroupNotFound", id="delete-group"),
        pytest.param("GET", IMAGE, 404, "ResourceNotFound", id="image"),
        pytest.param("GET", GALLERY, 404, "ResourceNotFound", id="gallery"),
        pytest.param("GET", DEFINITION, 404, "ParentResourceNotFound", id="parent-of-get"),
        pytest.param("PUT", DEFINITION, 404, "ParentResourceNotFound", id="parent-of-put"),
        pytest.param("DELETE", VERSION, 404, "ParentResourceNotFound", id="parent-of-delete"),
        pytest.param("PATCH", IMAGE, 404, "ResourceNotFound", id="patch"),
        pytest.param("POST", IMAGE, 405, "HttpMethodNotSupported", id="method"),
        pytest.param("PUT", f"{IMAGE}?api-version=", 400, "MissingApiVersionParameter", id="no-api-version"),
        pytest.param("GET", f"{IMAGE}?api-version=new", 400, "InvalidApiVersionParameter", id="bad-api-version"),
    ],
)
async def test_the_gateway_answers_for_what_is_not_there(
    arm: Arm, method: str, target: str, status: int, code: str
) -> None:
    """Gateway errors are compact, name their maker, and tell nothing of the provider's limits."""
    body = {"location": "westeurope"} if method in ("PUT", "PATCH") else None
    refused = await arm(method, target, body)
    assert (refused.status, refused.code) == (status, code)
    assert refused.headers["x-ms-failure-cause"] == "gateway"
    assert "x-ms-ratelimit-remaining-resource" not in refused.headers
    assert "\n" not in refused.text


async def test_a_body_that_is_no_object(arm: Arm) -> None:
    """400 InvalidRequestContent."""
    assert (await arm("PUT", GALLERY, ["location"])).code == "InvalidRequestContent"
    assert (await arm("PUT", GALLERY, {"location": "westeurope", "properties": 3})).code == "InvalidRequestContent"


ELSEWHERE = f"{GROUP}/legacy/{COMPUTE}/galleries/prod"
HYPHEN = f"{GROUP}/images/{COMPUTE}/galleries/my-gallery"
OTHER = f"{GALLERY}/images/other"
HERE = {"location": "westeurope"}
TAKEN = {"publisher": "CONTOSO", "offer": "web", "sku": "default"}
FREE = {"publisher": "fabrikam", "offer": "web", "sku": "default"}
TRUSTED = [{"name": "SecurityType", "value": "TrustedLaunch"}]


@pytest.mark.usefixtures("gallery")
@pytest.mark.parametrize(
    ("target", "body", "code"),
    [
        pytest.param(ELSEWHERE, HERE, "409 Conflict", id="gallery-of-that-name-elsewhere"),
        pytest.param(GALLERY, {"location": "northeurope"}, "409 InvalidResourceLocation", id="moved"),
        pytest.param(GALLERY, {"location": "nowhere"}, "400 LocationNotAvailableForResourceType", id="region"),
        pytest.param(OTHER, {"properties": {}}, "400 LocationRequired", id="no-location"),
        pytest.param(OTHER, definition_body(identifier=TAKEN), "409 Conflict", id="identifier-taken"),
    ],
)
async def test_galleries_and_definitions(arm: Arm, target: str, body: dict[str, Any], code: str) -> None:
    """Places and names that are taken or do not exist."""
    refused = await arm("PUT", target, body)
    assert f"{refused.status} {refused.code}" == code


@pytest.mark.usefixtures("gallery")
@pytest.mark.parametrize(
    ("target", "body", "at"),
    [
        pytest.param(HYPHEN, HERE, "galleryName", id="gallery-name"),
        pytest.param(f"{GALLERY}/images/b.", definition_body(), "galleryImageName", id="definition-name"),
        pytest.param(OTHER, definition_body(osType="BeOS"), "galleryImage.properties.osType", id="os"),
        pytest.param(
            OTHER,
            definition_body(identifier={"publisher": "p"}),
            "galleryImage.properties.identifier.offer",
            id="offer",
        ),
        pytest.param(
            OTHER,
            definition_body(hyperVGeneration="V1", features=TRUSTED),
            "galleryImage.properties.features",
            id="trusted-launch-needs-v2",
        ),
    ],
)
async def test_invalid_fields(arm: Arm, target: str, body: dict[str, Any], at: str) -> None:
    """400 InvalidParameter with the field as target."""
    refused = await arm("PUT", target, body)
    assert (refused.status, refused.code, refused.body["error"]["target"]) == (400, "InvalidParameter", at)


@pytest.mark.usefixtures("gallery")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("osType", "Windows"),
        ("osState", "Specialized"),
        ("hyperVGeneration", "V1"),
        ("architecture", "Arm64"),
        ("identifier", FREE),
        ("purchasePlan", {"name": "p"}),
        ("eula", "new"),
        ("features", TRUSTED),
    ],
)
async def test_what_a_definition_is_cannot_change(arm: Arm, field: str, value: object) -> None:
    """409 PropertyChangeNotAllowed with the field as target."""
    body = definition_body(**{"identifier": TAKEN, field: value})
    refused = await arm("PUT", DEFINITION, body)
    assert (refused.status, refused.code) == (409, "PropertyChangeNotAllowed")
    assert refused.body["error"]["target"] == f"galleryImage.properties.{field}"


@pytest.mark.usefixtures("gallery")
async def test_what_a_definition_says_can_change(azure: SimulatorServer, arm: Arm) -> None:
    """Description and end of life; an end of life stays when a PUT leaves it out."""
    body = definition_body(identifier=TAKEN, description="new", endOfLifeDate="2099-01-01T00:00:00Z")
    assert (await arm("PUT", DEFINITION, body)).body["properties"]["description"] == "new"
    azure.clock.advance(1)
    shown = (await arm("PUT", DEFINITION, definition_body(identifier=TAKEN))).body["properties"]
    assert (shown.get("description"), shown["endOfLifeDate"]) == (None, "2099-01-01T00:00:00Z")


PROFILE = "galleryImageVersion.properties.publishingProfile"
WEST = {"name": "westeurope"}
SETS = f"{GROUP}/legacy/{COMPUTE}/diskEncryptionSets"
MANY = [{**WEST, "regionalReplicaCount": 101}]
TWO = [WEST, {"name": "northeurope"}]


@pytest.mark.usefixtures("gallery")
@pytest.mark.parametrize(
    ("profile", "at"),
    [
        pytest.param({"replicaCount": 101}, f"{PROFILE}.replicaCount", id="replicas"),
        pytest.param({"targetRegions": MANY}, f"{PROFILE}.targetRegions.regionalReplicaCount", id="region-replicas"),
        pytest.param({"targetRegions": [{"name": "northeurope"}]}, f"{PROFILE}.targetRegions", id="location-missing"),
        pytest.param({"targetRegions": [WEST, {"name": "West Europe"}]}, f"{PROFILE}.targetRegions", id="duplicate"),
        pytest.param({"targetRegions": [WEST, {"name": "atlantis"}]}, f"{PROFILE}.targetRegions", id="unknown-region"),
        pytest.param({"targetRegions": "westeurope"}, f"{PROFILE}.targetRegions", id="no-list"),
        pytest.param({"storageAccountType": "Fast"}, f"{PROFILE}.storageAccountType", id="storage"),
        pytest.param({"endOfLifeDate": "2020-01-01T00:00:00Z"}, f"{PROFILE}.endOfLifeDate", id="end-of-life"),
        pytest.param({"replicationMode": "Deep"}, f"{PROFILE}.replicationMode", id="mode"),
        pytest.param({"replicationMode": "Shallow", "targetRegions": TWO}, f"{PROFILE}.targetRegions", id="shallow"),
    ],
)
async def test_a_publishing_profile(azure: SimulatorServer, arm: Arm, profile: dict[str, Any], at: str) -> None:
    """400 InvalidParameter names the field; nothing is created."""
    refused = await arm.version(**profile)
    assert (refused.status, refused.code, refused.body["error"]["target"]) == (400, "InvalidParameter", at)
    assert refused.text.startswith('{\r\n  "error": {\r\n')
    assert "x-ms-ratelimit-remaining-resource" in refused.headers
    assert azure.cloud.get(VERSION) is None
    assert azure.ledger.entries()[-1].effect == "refused"


@pytest.mark.usefixtures("gallery")
@pytest.mark.parametrize("name", ["1.0", "1.0.x", "1.0.2147483648", "1.0.0.0", "latest"])
async def test_a_version_name(arm: Arm, name: str) -> None:
    """Three 32-bit integers and nothing else."""
    refused = await arm.version(f"{DEFINITION}/versions/{name}")
    assert (refused.status, refused.body["error"]["target"]) == (400, "galleryImageVersionName")


@pytest.mark.usefixtures("gallery")
@pytest.mark.parametrize(
    ("image", "status", "code"),
    [
        pytest.param(None, 404, "NotFound", id="missing"),
        pytest.param({"location": "northeurope"}, 400, "InvalidParameter", id="elsewhere"),
        pytest.param({"os_type": "Windows"}, 400, "BadRequest", id="os-type"),
        pytest.param({"os_state": "Specialized"}, 400, "BadRequest", id="os-state"),
        pytest.param({"size_gb": 2049}, 400, "GallerySourceResourceExceedsMaxSize", id="too-large"),
        pytest.param({"data_disks": (10, 4096)}, 400, "GallerySourceResourceExceedsMaxSize", id="data-disk-too-large"),
        pytest.param({"size_gb": 2048}, 201, None, id="just-fits"),
    ],
)
async def test_a_source(
    azure: SimulatorServer, arm: Arm, image: dict[str, Any] | None, status: int, code: str | None
) -> None:
    """The source must exist, in the version's region, and fit the definition."""
    azure.cloud.remove(IMAGE)
    if image is not None:
        azure.cloud.put_image("web", group="legacy", **image)
    refused = await arm.version()
    assert refused.status == status
    if code:
        assert refused.code == code
    if image is None:
        assert refused.body["error"]["target"] == IMAGE


@pytest.mark.usefixtures("gallery")
async def test_one_build_per_source(azure: SimulatorServer, arm: Arm) -> None:
    """A source that is being built from is busy, in any spelling of its id, until the build ends."""
    other = f"{DEFINITION}/versions/2.0.0"
    assert (await arm.version()).status == 201
    refused = await arm("PUT", other, version_body(source=IMAGE.upper()))
    assert (refused.status, refused.code) == (409, "Conflict")
    azure.clock.advance(420)
    assert (await arm.version(other)).status == 201


@pytest.mark.usefixtures("gallery")
async def test_a_source_may_stay_busy_until_replicated(azure: SimulatorServer, arm: Arm) -> None:
    """By rule, the end of the operation does not free the source."""
    azure.cloud.rules = replace(azure.cloud.rules, source_busy_until_replicated=True)
    await arm.version()
    azure.clock.advance(420)
    assert (await arm.version(f"{DEFINITION}/versions/2.0.0")).status == 409
    azure.clock.advance(60)
    assert (await arm.version(f"{DEFINITION}/versions/2.0.0")).status == 201


@pytest.mark.usefixtures("gallery")
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_one_writer_per_version(arm: Arm, method: str) -> None:
    """While an operation runs on a version, every other writer is refused."""
    await arm.version()
    refused = await arm(method, VERSION, version_body(source=None) if method != "DELETE" else None)
    assert (refused.status, refused.code) == (409, "Conflict")


async def test_after_a_delete_only_delete_is_allowed(azure: SimulatorServer, arm: Arm, gallery: str) -> None:
    """A PUT meets OperationNotAllowed; a second DELETE has no effect of its own."""
    azure.cloud.put_version("1.0.0", definition=gallery, source=IMAGE)
    first = await arm("DELETE", VERSION)
    assert (await arm.version()).code == "OperationNotAllowed"
    second = await arm("DELETE", VERSION)
    assert second.headers["Azure-AsyncOperation"] == first.headers["Azure-AsyncOperation"]
    assert azure.ledger.count("*.delete", effect="accepted") == 1


async def test_a_version_keeps_its_source(azure: SimulatorServer, arm: Arm, gallery: str) -> None:
    """The same id in another case is accepted, another id is not."""
    azure.cloud.put_version("1.0.0", definition=gallery, source=IMAGE)
    refused = await arm("PUT", VERSION, version_body(source=f"{IMAGE}2"))
    assert (refused.status, refused.code) == (409, "PropertyChangeNotAllowed")
    assert refused.body["error"]["target"] == "galleryImageVersion.properties.storageProfile.source.id"
    assert (await arm("PUT", VERSION, version_body(source=IMAGE.upper()))).status == 200


async def test_regions_leave_only_when_allowed(azure: SimulatorServer, arm: Arm, gallery: str) -> None:
    """A region is removed by a PUT without it, if allowDeletionOfReplicatedLocations says so."""
    azure.cloud.put_version("1.0.0", definition=gallery, regions=("westeurope", "northeurope"))
    body = version_body(source=None)
    refused = await arm("PUT", VERSION, body)
    assert (refused.status, refused.code) == (409, "OperationNotAllowed")
    body["properties"]["safetyProfile"] = {"allowDeletionOfReplicatedLocations": True}
    assert (await arm("PUT", VERSION, body)).status == 200


async def test_the_storage_of_a_region_is_fixed(azure: SimulatorServer, arm: Arm, gallery: str) -> None:
    """409 PropertyChangeNotAllowed."""
    azure.cloud.put_version("1.0.0", definition=gallery)
    changed = version_body(source=None, targetRegions=[{**WEST, "storageAccountType": "Premium_LRS"}])
    assert (await arm("PUT", VERSION, changed)).code == "PropertyChangeNotAllowed"


async def test_parents_outlive_their_children(azure: SimulatorServer, arm: Arm, gallery: str) -> None:
    """409 CannotDeleteResource names the child, and by rule lasts a while after the child is gone."""
    azure.cloud.rules = replace(azure.cloud.rules, stale_children=30)
    azure.cloud.put_version("1.0.0", definition=gallery)
    refused = await arm("DELETE", DEFINITION)
    assert (refused.status, refused.code) == (409, "CannotDeleteResource")
    assert "Microsoft.Compute/galleries/prod/images/web/versions/1.0.0" in refused.body["error"]["message"]
    await arm("DELETE", VERSION)
    azure.clock.advance(120)
    assert (await arm("GET", VERSION)).status == 404
    assert (await arm("DELETE", DEFINITION)).code == "CannotDeleteResource"
    azure.clock.advance(30)
    assert (await arm("DELETE", DEFINITION)).status == 202


@pytest.mark.usefixtures("gallery")
async def test_a_generation_mismatch_is_accepted_and_fails(azure: SimulatorServer, arm: Arm) -> None:
    """201, then Failed with start and end equal; only a delete cures it."""
    azure.cloud.put_image("web", group="legacy", hyper_v_generation=None)
    created = await arm.version()
    assert created.status == 201
    operation = (await arm("GET", created.headers["Azure-AsyncOperation"])).body
    assert (operation["status"], operation["error"]["code"]) == ("Failed", "Conflict")
    assert operation["startTime"] == operation["endTime"]
    shown = (await arm("GET", f"{VERSION}?$expand=ReplicationStatus")).body["properties"]
    assert (shown["provisioningState"], shown["replicationStatus"]["aggregatedState"]) == ("Failed", "Failed")
    assert (await arm("PUT", VERSION, version_body(source=None))).status == 409
    assert (await arm("DELETE", VERSION)).status == 202


async def test_a_version_protected_until_its_end_of_life(azure: SimulatorServer, arm: Arm, gallery: str) -> None:
    """It cannot be deleted before that date."""
    azure.cloud.put_version("1.0.0", definition=gallery)
    body = version_body(source=None, endOfLifeDate="2099-01-01T00:00:00Z")
    body["properties"]["safetyProfile"] = {"blockDeletionBeforeEndOfLife": True}
    await arm("PUT", VERSION, body)
    azure.clock.advance(330)
    assert (await arm("DELETE", VERSION)).code == "DeleteGalleryImageVersionBlockedBeforeEndOfLife"


async def test_an_end_of_life_that_has_passed_harms_only_who_sends_it(
    azure: SimulatorServer, arm: Arm, gallery: str
) -> None:
    """A PATCH of tags goes through; a PUT that carries the old date does not."""
    azure.cloud.put_version("1.0.0", definition=gallery)
    body = version_body(source=None, endOfLifeDate=(azure.clock.now() + timedelta(hours=1)).isoformat())
    assert (await arm("PUT", VERSION, body)).status == 200
    azure.clock.advance(7_200)
    assert (await arm("PATCH", VERSION, {"tags": {"a": "b"}})).status == 200
    azure.clock.advance(330)
    assert (await arm("PUT", VERSION, body)).body["error"]["target"] == f"{PROFILE}.endOfLifeDate"


@pytest.mark.usefixtures("gallery")
async def test_an_image_that_is_being_deleted_is_no_source(arm: Arm) -> None:
    """It stays readable, but nothing is built from it."""
    await arm("DELETE", IMAGE)
    assert (await arm("GET", IMAGE)).status == 200
    assert (await arm.version()).status == 409


def keys(*regions: tuple[str, int | None]) -> list[dict[str, Any]]:
    """Give target regions, each with customer keys for the OS disk and one LUN; no keys where the LUN is None."""
    return [{"name": name} if lun is None else encrypted(name, f"{SETS}/{name}", lun) for name, lun in regions]


def encrypted(name: str, key: str, *luns: int) -> dict[str, Any]:
    """Give a target region with one customer key for all of these disks."""
    own = {"diskEncryptionSetId": key}
    data = [{"lun": lun, **own} for lun in luns]
    return {"name": name, "encryption": {"osDiskImage": own, "dataDiskImages": data}}


@pytest.mark.parametrize(
    ("profile", "status"),
    [
        pytest.param({"targetRegions": keys(("westeurope", 0), ("northeurope", 0))}, 201, id="everywhere"),
        pytest.param({"targetRegions": keys(("westeurope", 0), ("northeurope", None))}, 400, id="one region"),
        pytest.param({"targetRegions": keys(("westeurope", 0), ("northeurope", 1))}, 400, id="another disk"),
        pytest.param({"targetRegions": keys(("westeurope", 0)), "replicationMode": "Shallow"}, 400, id="shallow"),
    ],
)
@pytest.mark.usefixtures("gallery")
async def test_customer_keys(azure: SimulatorServer, arm: Arm, profile: dict[str, Any], status: int) -> None:
    """They are given for the same disks in every region, and never with Shallow (fact sheet, section 5.4)."""
    for region in ("westeurope", "northeurope"):
        azure.cloud.put(f"{SETS}/{region}", {"location": region})
    assert (await arm.version(**profile)).status == status


async def test_a_marketplace_plan_must_be_repeated(azure: SimulatorServer, arm: Arm, gallery: str) -> None:
    """400 when the image's machine has a plan that the definition lacks (fact sheet, section 5.1)."""
    machine = f"{GROUP}/legacy/{COMPUTE}/virtualMachines/web"
    plan = {"name": "p", "publisher": "q", "product": "r"}
    azure.cloud.put(machine, {"location": "westeurope", "plan": plan, "properties": {}})
    azure.cloud.put_image("web", group="legacy", source_virtual_machine=machine)
    refused = await arm.version()
    assert (refused.status, refused.code) == (400, "BadRequest")
    assert "purchase plan" in refused.text
    shown = azure.cloud.get(gallery)
    assert shown is not None
    azure.cloud.put(gallery, {**shown, "properties": {**shown["properties"], "purchasePlan": plan}})
    assert (await arm.version()).status == 201
