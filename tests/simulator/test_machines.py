"""Virtual machines: what they may be made from, what comes with them, and what a delete takes (fact sheet, 3.6)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from azure.mgmt.compute.aio import ComputeManagementClient

from imageferry.simulator import SUBSCRIPTION, FailOperation, Fault, SimulatorServer
from tests.simulator.conftest import COMPUTE, DEFINITION, GROUP, IMAGE, VERSION, Arm

MACHINE = f"{GROUP}/images/{COMPUTE}/virtualMachines/probe"
SUBNET = f"{GROUP}/images/providers/Microsoft.Network/virtualNetworks/net/subnets/probe"
CARD = {
    "name": "card",
    "properties": {
        "primary": True,
        "deleteOption": "Delete",
        "ipConfigurations": [{"name": "ip", "properties": {"subnet": {"id": SUBNET}}}],
    },
}


def machine_body(image: str = VERSION, *, location: str = "westeurope", **changes: Any) -> dict[str, Any]:
    """Give the body of a machine as a probe sends it: all that it brings goes with it."""
    storage = {
        "imageReference": {"id": image},
        "osDisk": {"createOption": "FromImage", "deleteOption": "Delete"},
        "dataDisks": [{"lun": 0, "createOption": "FromImage", "deleteOption": "Delete"}],
    }
    properties: dict[str, Any] = {
        "hardwareProfile": {"vmSize": "Standard_B2s"},
        "storageProfile": storage,
        "osProfile": {"computerName": "probe", "adminUsername": "ops", "adminPassword": "s3cret"},
        "networkProfile": {"networkApiVersion": "2022-11-01", "networkInterfaceConfigurations": [CARD]},
    }
    plan = {"plan": changes.pop("plan")} if "plan" in changes else {}
    properties |= changes
    return {"location": location, "properties": {k: v for k, v in properties.items() if v is not None}, **plan}


@pytest.fixture
def version(azure: SimulatorServer, gallery: str) -> str:
    """Let a version exist that is Completed in West Europe alone, with a data disk; gives its id."""
    return azure.cloud.put_version("1.0.0", definition=gallery, source=IMAGE)


async def test_a_machine_from_a_version(azure: SimulatorServer, client: ComputeManagementClient, version: str) -> None:
    """The SDK makes one, reads how it is, runs a script in it and deletes it with all that came with it."""
    azure.cloud.durations = replace(azure.cloud.durations, machine_create=0, run_command=0, machine_delete=0)
    machines = client.virtual_machines
    wanted: Any = machine_body(version)
    made = await (await machines.begin_create_or_update("images", "probe", wanted)).result()
    assert made.properties is not None
    assert made.properties.provisioning_state == "Succeeded"
    assert "adminPassword" not in (made.properties.os_profile or {})
    view = await machines.instance_view("images", "probe")
    assert [status.code for status in view.statuses or []] == ["ProvisioningState/succeeded", "PowerState/running"]
    assert view.vm_agent is not None
    assert [status.display_status for status in view.vm_agent.statuses or []] == ["Ready"]
    command: Any = {"commandId": "RunShellScript", "script": ["echo imageferry-ok"]}
    ran = await (await machines.begin_run_command("images", "probe", command)).result()
    assert "[stdout]\nimageferry-ok\n" in str(ran["value"][0]["message"])
    assert len(azure.cloud.ids("disks")) == 2
    assert len(azure.cloud.ids("networkInterfaces")) == 1
    await (await machines.begin_delete("images", "probe")).result()
    assert [azure.cloud.ids(kind) for kind in ("virtualMachines", "disks", "networkInterfaces")] == [[], [], []]


async def test_only_where_the_region_is_completed(azure: SimulatorServer, arm: Arm, gallery: str) -> None:
    """404 GalleryImageNotFound until the copy is Completed, also after the operation (fact sheet, section 6)."""
    azure.cloud.put_image("web", group="legacy")
    azure.cloud.durations = replace(azure.cloud.durations, version_create=60, home_region=600)
    await arm.version()
    azure.clock.advance(61)
    assert (await arm("GET", VERSION)).body["properties"]["provisioningState"] == "Succeeded"
    for image in (VERSION, gallery):
        refused = await arm("PUT", MACHINE, machine_body(image))
        assert (refused.status, refused.code) == (404, "GalleryImageNotFound")
    azure.clock.advance(600)
    assert (await arm("PUT", MACHINE, machine_body(location="northeurope"))).code == "GalleryImageNotFound"
    assert azure.cloud.ids("disks") == [], "what is refused leaves nothing behind"
    assert (await arm("PUT", MACHINE, machine_body())).status == 201


@pytest.mark.parametrize(
    ("profiles", "wanted"),
    [
        pytest.param({"1.9.0": {}, "1.10.0": {}}, "1.10.0", id="numbers, not letters"),
        pytest.param({"1.0.0": {}, "2.0.0": {"excludeFromLatest": True}}, "1.0.0", id="excluded"),
        pytest.param(
            {"1.0.0": {}, "2.0.0": {"targetRegions": [{"name": "West Europe", "excludeFromLatest": True}]}},
            "1.0.0",
            id="excluded in the region",
        ),
        pytest.param(
            {
                "1.0.0": {},
                "2.0.0": {
                    "excludeFromLatest": True,
                    "targetRegions": [{"name": "West Europe", "excludeFromLatest": False}],
                },
            },
            "2.0.0",
            id="the region's word wins",
        ),
        pytest.param({"1.0.0": {"excludeFromLatest": True}}, None, id="nothing left"),
    ],
)
async def test_latest(
    azure: SimulatorServer, arm: Arm, gallery: str, profiles: Mapping[str, Any], wanted: str | None
) -> None:
    """A definition's id means the highest version that is not excluded (fact sheet, section 4.2)."""
    for name, profile in profiles.items():
        azure.cloud.put(
            f"{gallery}/versions/{name}", {"location": "westeurope", "properties": {"publishingProfile": profile}}
        )
    reply = await arm("PUT", MACHINE, machine_body(gallery))
    if wanted is None:
        assert reply.code == "GalleryImageNotFound"
        assert "no latest image version" in reply.text
    else:
        assert reply.body["properties"]["storageProfile"]["imageReference"]["exactVersion"] == wanted


async def test_a_soft_deleted_version_still_deploys_by_its_number(azure: SimulatorServer, arm: Arm) -> None:
    """It is never the latest, yet deploys when it is named (fact sheet, section 7)."""
    azure.cloud.put_image("web", group="legacy")
    definition = azure.cloud.put_definition(
        "web", gallery=azure.cloud.put_gallery("prod", group="images", soft_delete=True)
    )
    azure.cloud.put_version("1.0.0", definition=definition, source=IMAGE)
    await arm("DELETE", VERSION)
    azure.clock.advance(120)
    assert (await arm("PUT", MACHINE, machine_body(definition))).code == "GalleryImageNotFound"
    assert (await arm("PUT", MACHINE, machine_body())).status == 201


async def test_a_machine_from_a_managed_image(azure: SimulatorServer, arm: Arm) -> None:
    """Only in its own region and subscription, and without Trusted Launch (fact sheet, sections 3.6 and 4.4)."""
    azure.cloud.put_image("web", group="legacy", data_disks=(64,))
    refused = await arm("PUT", MACHINE, machine_body(IMAGE, securityProfile={"securityType": "TrustedLaunch"}))
    assert (refused.status, refused.code) == (400, "BadRequest")
    assert "Managed Images are not supported for virtual machines with security type TrustedLaunch." in refused.text
    elsewhere = await arm("PUT", MACHINE, machine_body(IMAGE, location="northeurope"))
    assert (elsewhere.status, elsewhere.code) == (404, "NotFound")
    made = await arm("PUT", MACHINE, machine_body(IMAGE))
    assert made.status == 201
    assert [disk["diskSizeGB"] for disk in made.body["properties"]["storageProfile"]["dataDisks"]] == [64]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"osProfile": None}, "InvalidParameter", id="no osProfile"),
        pytest.param({"hardwareProfile": {}}, "InvalidParameter", id="no size"),
        pytest.param({"securityProfile": {"securityType": "TrustedLaunch"}}, "BadRequest", id="security"),
    ],
)
@pytest.mark.usefixtures("version")
async def test_what_a_machine_must_say(arm: Arm, changes: dict[str, Any], code: str) -> None:
    """400 for a body that does not fit the image (fact sheet, sections 3.6 and 9)."""
    refused = await arm("PUT", MACHINE, machine_body(**changes))
    assert (refused.status, refused.code) == (400, code)


async def test_a_plan_must_be_repeated(azure: SimulatorServer, arm: Arm, version: str) -> None:
    """400 VMMarketplaceInvalidInput without the definition's plan (fact sheet, section 9)."""
    plan = {"name": "p", "publisher": "q", "product": "r"}
    shown = azure.cloud.get(DEFINITION)
    assert shown is not None
    azure.cloud.put(DEFINITION, {**shown, "properties": {**shown["properties"], "purchasePlan": plan}})
    assert (await arm("PUT", MACHINE, machine_body(version))).code == "VMMarketplaceInvalidInput"
    assert (await arm("PUT", MACHINE, machine_body(version, plan=plan))).status == 201


async def test_the_default_leaves_disks_behind(azure: SimulatorServer, arm: Arm, version: str) -> None:
    """Without deleteOption the disks of a deleted machine stay, unattached (fact sheet, section 3.6)."""
    storage = {"imageReference": {"id": version}, "osDisk": {"createOption": "FromImage"}}
    await arm("PUT", MACHINE, machine_body(storageProfile=storage))
    azure.clock.advance(60)
    assert (await arm("DELETE", f"{MACHINE}?forceDeletion=true")).status == 202
    azure.clock.advance(60)
    assert (await arm("GET", MACHINE)).status == 404
    left = [azure.cloud.get(disk) for disk in azure.cloud.ids("disks")]
    assert [disk and disk["properties"]["diskState"] for disk in left] == ["Unattached", "Unattached"]
    assert azure.cloud.ids("networkInterfaces") == []
    assert (await arm("DELETE", azure.cloud.ids("disks")[0])).status == 202


async def test_an_image_waits_for_the_machines_made_from_it(azure: SimulatorServer, arm: Arm) -> None:
    """409 OperationNotAllowed while they are being provisioned; it names them (fact sheet, section 7)."""
    azure.cloud.put_image("web", group="legacy", data_disks=(10,))
    hang = FailOperation("OSProvisioningTimedOut", "OS provisioning did not finish in the allotted time.", after=2400)
    azure.faults.add(Fault("virtualMachines.createOrUpdate", hang))
    await arm("PUT", MACHINE, machine_body(IMAGE))
    azure.clock.advance(2399)
    refused = await arm("DELETE", IMAGE)
    assert (refused.status, refused.code) == (409, "OperationNotAllowed")
    assert MACHINE in refused.text
    azure.clock.advance(1)
    view = (await arm("GET", f"{MACHINE}/instanceView")).body
    assert view["statuses"][0]["code"] == "ProvisioningState/failed/OSProvisioningTimedOut"
    assert view["vmAgent"]["statuses"][0]["displayStatus"] == "Not Ready"
    assert (await arm("DELETE", IMAGE)).status == 202


async def test_run_commands_one_at_a_time(azure: SimulatorServer, arm: Arm, version: str) -> None:
    """202 with both headers; Location gives 202 and then the result; a second one meanwhile is a conflict."""
    await arm("PUT", MACHINE, machine_body(version))
    command = {"commandId": "RunShellScript", "script": ["echo out", "echo err >&2", "exit 3", "echo never"]}
    accepted = await arm("POST", f"{MACHINE}/runCommand", command)
    assert (accepted.status, accepted.text) == (202, "")
    assert (await arm("POST", f"{MACHINE}/runCommand", command)).code == "Conflict"
    assert (await arm("GET", accepted.headers["Location"])).status == 202
    azure.clock.advance(20)
    assert (await arm("GET", accepted.headers["Azure-AsyncOperation"])).body["status"] == "Succeeded"
    (result,) = (await arm("GET", accepted.headers["Location"])).body["value"]
    assert result["message"] == "Enable succeeded: \n[stdout]\nout\n\n[stderr]\nerr\n"
    powershell = {"commandId": "RunPowerShellScript", "script": ["echo out"]}
    url = (await arm("POST", f"{MACHINE}/runCommand", powershell)).headers["Location"]
    azure.clock.advance(20)
    assert [each["message"] for each in (await arm("GET", url)).body["value"]] == ["out\n", ""]


async def test_a_managed_run_command_has_an_exit_code(azure: SimulatorServer, arm: Arm, version: str) -> None:
    """Its instance view tells state, exit code and output; a script that fails is no failed operation."""
    await arm("PUT", MACHINE, machine_body(version))
    probe = f"{MACHINE}/runCommands/probe"
    body = {"location": "westeurope", "properties": {"source": {"script": "echo ok\nexit 3"}}}
    made = await arm("PUT", probe, body)
    assert made.status == 201
    running = (await arm("GET", f"{probe}?$expand=instanceView")).body["properties"]
    assert running["instanceView"]["executionState"] == "Running"
    azure.clock.advance(20)
    done = (await arm("GET", f"{probe}?$expand=instanceView")).body["properties"]
    assert done["provisioningState"] == "Succeeded"
    view = done["instanceView"]
    assert (view["executionState"], view["exitCode"], view["output"]) == ("Failed", 3, "ok\n")
    assert "instanceView" not in (await arm("GET", probe)).body["properties"]


async def test_scale_sets_show_what_they_are_made_from(azure: SimulatorServer, client: ComputeManagementClient) -> None:
    """Their models name the image; so references are found before it is deleted (fact sheet, section 2.3)."""
    profile = {"virtualMachineProfile": {"storageProfile": {"imageReference": {"id": IMAGE}}}}
    azure.cloud.put(f"{GROUP}/legacy/{COMPUTE}/virtualMachineScaleSets/fleet", {"properties": profile})
    found = [each async for each in client.virtual_machine_scale_sets.list_all()]
    assert [
        each["properties"]["virtualMachineProfile"]["storageProfile"]["imageReference"]["id"] for each in found
    ] == [IMAGE]
    assert [each async for each in client.virtual_machines.list_all()] == []


@pytest.mark.parametrize(("api", "shown"), [("2026-04-01", True), ("2024-07-01", False)])
async def test_the_security_type_is_shown_to_new_callers(arm: Arm, version: str, api: str, *, shown: bool) -> None:
    """VM answers from 2025-11-01 on say Standard when nothing was set (fact sheet, section 2.7)."""
    body = (await arm("PUT", MACHINE, machine_body(version), api=api)).body
    assert ("securityProfile" in body["properties"]) is shown
    assert f"/subscriptions/{SUBSCRIPTION}/" in body["id"]
