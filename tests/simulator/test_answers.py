"""Status codes, headers and shapes, against `arm-behaviour.md`."""

import re
from typing import Any

import pytest

from imageferry.simulator import SUBSCRIPTION, SimulatorServer
from tests.simulator.conftest import (
    DEFINITION,
    GALLERY,
    GROUP,
    IMAGE,
    VERSION,
    Arm,
    definition_body,
    version_body,
)

IMAGE_BODY = {
    "location": "westeurope",
    "properties": {
        "hyperVGeneration": "V2",
        "storageProfile": {"osDisk": {"osType": "Linux", "osState": "Generalized"}},
    },
}
NEW = [
    pytest.param(IMAGE, IMAGE_BODY, 5, id="image"),
    pytest.param(GALLERY, {"location": "westeurope"}, 0.2, id="gallery"),
    pytest.param(DEFINITION, definition_body(), 0.2, id="definition"),
    pytest.param(VERSION, version_body(), 420, id="version"),
]


def prepare(azure: SimulatorServer, target: str) -> None:
    """Let everything exist that `target` needs."""
    if target in (DEFINITION, VERSION):
        azure.cloud.put_gallery("prod", group="images")
    if target == VERSION:
        azure.cloud.put_image("web", group="legacy")
        azure.cloud.put_definition("web", gallery=GALLERY)


@pytest.mark.parametrize(("target", "body", "seconds"), NEW)
async def test_the_life_of_a_resource(
    azure: SimulatorServer, arm: Arm, target: str, body: dict[str, Any], seconds: float
) -> None:
    """201 Creating, Succeeded when the operation ends, 200 Updating, 202 empty, 404, and then 204."""
    prepare(azure, target)
    created = await arm("PUT", target, body)
    assert (created.status, created.body["properties"]["provisioningState"]) == (201, "Creating")
    assert "Azure-AsyncOperation" in created.headers
    assert "Location" not in created.headers
    azure.clock.advance(seconds - 0.1)
    assert (await arm("GET", created.headers["Azure-AsyncOperation"])).body["status"] == "InProgress"
    assert (await arm("GET", target)).body["properties"]["provisioningState"] == "Creating"
    azure.clock.advance(0.1)
    assert (await arm("GET", created.headers["Azure-AsyncOperation"])).body["status"] == "Succeeded"
    assert (await arm("GET", target)).body["properties"]["provisioningState"] == "Succeeded"
    updated = await arm(
        "PUT", target, {"location": "westeurope", "tags": {"a": "b"}, "properties": body.get("properties", {})}
    )
    assert (updated.status, updated.body["properties"]["provisioningState"]) == (200, "Updating")
    azure.clock.advance(1000)
    deleted = await arm("DELETE", target)
    assert (deleted.status, deleted.text) == (202, "")
    assert "monitor=true" in deleted.headers["Location"]
    assert (await arm("GET", target)).body["properties"]["provisioningState"] == "Deleting"
    azure.clock.advance(120)
    assert (await arm("GET", target)).code == "ResourceNotFound"
    assert (await arm("DELETE", target)).status == 204
    effects = [entry.effect for entry in azure.ledger.entries() if entry.method != "GET"]
    assert effects == ["created", "updated", "accepted", "none"]


@pytest.mark.parametrize(
    ("target", "waits"),
    [
        pytest.param(IMAGE, None, id="image"),
        pytest.param(GALLERY, None, id="gallery"),
        pytest.param(DEFINITION, None, id="definition"),
        pytest.param(VERSION, "60", id="version"),
    ],
)
async def test_only_version_operations_ask_to_wait(
    azure: SimulatorServer, arm: Arm, target: str, waits: str | None
) -> None:
    """Retry-After is 60 on version operations and on their polls, and absent elsewhere."""
    prepare(azure, target)
    azure.cloud.put(target, {"location": "westeurope", "properties": _stored(target)})
    deleted = await arm("DELETE", target)
    assert deleted.headers.get("Retry-After") == waits
    assert (await arm("GET", deleted.headers["Azure-AsyncOperation"])).headers.get("Retry-After") == waits


def _stored(target: str) -> dict[str, Any]:
    bodies = {IMAGE: IMAGE_BODY, DEFINITION: definition_body(), VERSION: version_body()}
    return dict(bodies.get(target, {}).get("properties", {}))


@pytest.mark.usefixtures("gallery")
async def test_operation_urls_are_long_signed_and_taken_verbatim(azure: SimulatorServer, arm: Arm) -> None:
    """A rebuilt or shortened operation URL is refused; the record expires."""
    url = (await arm.version()).headers["Azure-AsyncOperation"]
    assert 3_000 < len(url) < 3_500
    assert url.startswith(
        f"{azure.url}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/locations/westeurope/capsOperations/"
    )
    assert (await arm("GET", url)).status == 200
    assert (await arm("GET", url[:-1])).status == 400
    assert (await arm("GET", url.partition("&t=")[0])).status == 400
    assert (await arm("GET", re.sub(r"capsOperations/[0-9a-f]{8}", "capsOperations/00000000", url))).status == 404
    azure.clock.advance(420 + 86_401)
    assert (await arm("GET", url)).status == 404


async def test_image_operations_have_their_own_family(azure: SimulatorServer, arm: Arm) -> None:
    """Images use `operations` with a partition; the body has neither percentage nor properties."""
    azure.cloud.put_image("web", group="legacy")
    url = (await arm("DELETE", IMAGE)).headers["Azure-AsyncOperation"]
    assert "/locations/westeurope/operations/" in url
    assert "?p=" in url
    assert set((await arm("GET", url)).body) == {"startTime", "status", "name"}
    azure.clock.advance(5)
    assert set((await arm("GET", url)).body) == {"startTime", "endTime", "status", "name"}


async def test_the_location_of_a_delete_ends_empty(azure: SimulatorServer, arm: Arm) -> None:
    """`monitor=true` is 202 while it runs, then 200 with nothing in it."""
    azure.cloud.put_image("web", group="legacy")
    url = (await arm("DELETE", IMAGE)).headers["Location"]
    assert (await arm("GET", url)).status == 202
    azure.clock.advance(5)
    done = await arm("GET", url)
    assert (done.status, done.text) == (200, "")


@pytest.mark.usefixtures("gallery")
async def test_a_new_version_comes_back_as_azure_writes_it(azure: SimulatorServer, arm: Arm) -> None:
    """Display names, filled-in counts and dates at once; disk images only when built."""
    created = (await arm.version(replicaCount=2)).body
    profile = created["properties"]["publishingProfile"]
    assert profile["targetRegions"] == [
        {"name": "West Europe", "regionalReplicaCount": 2, "storageAccountType": "Standard_LRS"}
    ]
    assert (profile["excludeFromLatest"], profile["storageAccountType"]) == (False, "Standard_LRS")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?\+00:00", profile["publishedDate"])
    assert created["location"] == "westeurope"
    assert set(created["properties"]["storageProfile"]) == {"source"}
    azure.clock.advance(420)
    built = (await arm("GET", VERSION)).body["properties"]["storageProfile"]
    assert built["osDiskImage"] == {"sizeInGB": 30, "hostCaching": "ReadWrite", "source": {}}
    assert built["dataDiskImages"] == [{"lun": 0, "sizeInGB": 10, "hostCaching": "ReadWrite"}]


@pytest.mark.usefixtures("gallery")
@pytest.mark.parametrize(("api", "safe"), [("2021-10-01", False), ("2022-03-03", True), ("2026-03-03", True)])
async def test_the_shape_follows_the_callers_api_version(arm: Arm, api: str, *, safe: bool) -> None:
    """SafetyProfile is shown from 2022-03-03 on."""
    assert ("safetyProfile" in (await arm.version(api=api)).body["properties"]) is safe


@pytest.mark.parametrize(
    ("api", "generation", "features"),
    [
        pytest.param("2024-03-03", "V1", None, id="older"),
        pytest.param("2025-03-03", "V2", [{"name": "SecurityType", "value": "TrustedLaunchSupported"}], id="newer"),
    ],
)
async def test_what_an_absent_generation_becomes(
    azure: SimulatorServer, arm: Arm, api: str, generation: str, features: list[Any] | None
) -> None:
    """From 2025-03-03 on a silent definition is V2 and supports Trusted Launch."""
    azure.cloud.put_gallery("prod", group="images")
    body = definition_body(disallowed={}, features=[])
    del body["properties"]["hyperVGeneration"]
    created = (await arm("PUT", DEFINITION, body, api=api)).body["properties"]
    assert (created["hyperVGeneration"], created.get("features")) == (generation, features)
    assert "disallowed" not in created


async def test_a_generation_sent_explicitly_stays(azure: SimulatorServer, arm: Arm) -> None:
    """`SecurityType=Standard` opts out of the newer default; values are written in Azure's case."""
    azure.cloud.put_gallery("prod", group="images")
    features = [{"name": "SecurityType", "value": "standard"}, {"name": "IsHibernateSupported", "value": "true"}]
    created = (await arm("PUT", DEFINITION, definition_body(features=features), api="2026-03-03")).body["properties"]
    assert [feature["value"] for feature in created["features"]] == ["Standard", "True"]


async def test_a_path_may_be_written_in_any_case(azure: SimulatorServer, arm: Arm) -> None:
    """A GET echoes the caller's casing of names and finds the resource all the same."""
    azure.cloud.put_image("web", group="legacy")
    found = await arm("GET", IMAGE.upper().replace("/IMAGES/WEB", "/IMAGES/Web"))
    assert found.body["id"].endswith("/resourceGroups/LEGACY/providers/Microsoft.Compute/images/Web")


@pytest.mark.parametrize(
    ("target", "upper"),
    [
        pytest.param(f"{GROUP}/legacy/providers/Microsoft.Compute/images", True, id="images"),
        pytest.param(f"{GROUP}/images/providers/Microsoft.Compute/galleries", True, id="galleries"),
        pytest.param(f"{GALLERY}/images", False, id="definitions"),
        pytest.param(f"{DEFINITION}/versions", False, id="versions"),
    ],
)
async def test_some_lists_write_the_group_in_capitals(
    azure: SimulatorServer, arm: Arm, gallery: str, target: str, *, upper: bool
) -> None:
    """Lists of galleries and images in a group upper-case it; lists of definitions and versions do not."""
    azure.cloud.put_version("1.0.0", definition=gallery)
    (item,) = (await arm("GET", target)).body["value"]
    group = item["id"].split("/")[4]
    assert group == (group.upper() if upper else "images")


@pytest.mark.usefixtures("gallery")
async def test_replication_status_needs_the_expand(arm: Arm) -> None:
    """A plain GET and a list never show it."""
    await arm.version()
    assert "replicationStatus" not in (await arm("GET", VERSION)).body["properties"]
    assert "replicationStatus" in (await arm("GET", f"{VERSION}?$expand=replicationstatus")).body["properties"]


async def test_every_answer_has_ids_and_what_is_left(azure: SimulatorServer, arm: Arm) -> None:
    """Request ids and rate limits come with the recorded numbers."""
    azure.cloud.put_image("web", group="legacy")
    headers = (await arm("GET", IMAGE)).headers
    assert headers["x-ms-request-id"]
    assert headers["x-ms-correlation-request-id"] == azure.ledger.entries()[-1].correlation_id
    assert headers["x-ms-ratelimit-remaining-resource"] == "Microsoft.Compute/GetImagesSubscriptionMaximum;359"
    assert headers["x-ms-ratelimit-remaining-subscription-global-reads"] == "3749"
    await arm("PUT", GALLERY, {"location": "westeurope"})
    again = (await arm("GET", GALLERY)).headers["x-ms-ratelimit-remaining-resource"]
    assert again == "Microsoft.Compute/GetGallery3Min;349,Microsoft.Compute/GetGallery30Min;2499"


async def test_an_image_takes_the_disks_of_its_machine(azure: SimulatorServer, arm: Arm) -> None:
    """A capture shows disks at once and their sizes when it is built."""
    machine = f"{GROUP}/legacy/providers/Microsoft.Compute/virtualMachines/vm1"
    disks = {
        "osDisk": {
            "osType": "Linux",
            "diskSizeGB": 64,
            "managedDisk": {"id": "d1", "storageAccountType": "Premium_LRS"},
        }
    }
    azure.cloud.put(machine, {"location": "westeurope", "properties": {"storageProfile": disks}})
    body = {"location": "westeurope", "properties": {"sourceVirtualMachine": {"id": machine}, "hyperVGeneration": "V2"}}
    created = (await arm("PUT", IMAGE, body)).body["properties"]["storageProfile"]
    assert "diskSizeGB" not in created["osDisk"]
    azure.clock.advance(5)
    built = (await arm("GET", IMAGE)).body["properties"]["storageProfile"]
    assert (built["osDisk"]["diskSizeGB"], built["dataDisks"]) == (64, [])
