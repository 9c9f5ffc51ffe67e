"""Where a version may be and how many there may be: regions, keys of customers, quotas (fact sheet, 4.3, 4.4, 5.4)."""

from dataclasses import replace

import pytest

from imageferry.simulator import SUBSCRIPTION, Rules, SimulatorServer
from tests.simulator.conftest import COMPUTE, DEFINITION, VERSION, Arm, Reply, version_body
from tests.simulator.test_refusals import SETS, encrypted

ROOT = f"/subscriptions/{SUBSCRIPTION}"


async def updated(arm: Arm, *regions: str) -> Reply:
    """PUT the version once more, with these regions and without its source."""
    return await arm("PUT", VERSION, version_body(None, targetRegions=[{"name": name} for name in regions]))


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        pytest.param(f"{SETS}/westeurope", (201, ""), id="fits"),
        pytest.param(f"{SETS}/absent", (404, "NotFound"), id="missing"),
        pytest.param(f"{SETS}/northeurope", (400, "BadRequest"), id="region"),
        pytest.param(f"{SETS.replace('000001', '00000a')}/westeurope", (400, "BadRequest"), id="subscription"),
    ],
)
@pytest.mark.usefixtures("gallery")
async def test_a_customer_key_lies_where_it_is_used(
    azure: SimulatorServer, arm: Arm, key: str, answer: tuple[int, str]
) -> None:
    """In the region and in the version's subscription (fact sheet, sections 5.4 and 9)."""
    for place in (SETS, SETS.replace("000001", "00000a")):
        azure.cloud.put(f"{place}/westeurope", {"location": "westeurope"})
    azure.cloud.put(f"{SETS}/northeurope", {"location": "northeurope"})
    reply = await arm.version(targetRegions=[encrypted("westeurope", key)])
    assert (reply.status, reply.code if reply.status >= 400 else "") == answer


@pytest.mark.parametrize(
    ("rules", "shown"),
    [
        pytest.param(Rules(disabled_regions=("westeurope", "northeurope")), (False, True), id="disabled"),
        pytest.param(Rules(unoffered_regions=("westeurope", "northeurope")), (True, False), id="unoffered"),
    ],
)
@pytest.mark.usefixtures("gallery")
async def test_a_region_without_access_is_no_target(
    azure: SimulatorServer, arm: Arm, rules: Rules, shown: tuple[bool, bool]
) -> None:
    """At the first build and when it is added later; what is there already stays (fact sheet, section 4.4)."""
    assert (await arm.version(targetRegions=[{"name": "westeurope"}])).status == 201
    azure.clock.advance(600)
    azure.cloud.rules = rules
    assert (await updated(arm, "westeurope")).status == 200
    azure.clock.advance(600)
    refused = await updated(arm, "westeurope", "northeurope")
    assert (refused.status, refused.code) == (400, "LocationNotAvailableForResourceType")
    listed = {each["name"] for each in (await arm("GET", f"{ROOT}/locations")).body["value"]}
    offered = next(
        each["locations"]
        for each in (await arm("GET", f"{ROOT}/{COMPUTE}")).body["resourceTypes"]
        if each["resourceType"] == "galleries/images/versions"
    )
    assert ("northeurope" in listed, "North Europe" in offered) == shown


@pytest.mark.usefixtures("gallery")
async def test_a_quota_that_is_used_up_refuses_one_more(azure: SimulatorServer, arm: Arm) -> None:
    """409 OperationNotAllowed, by subscription and region; `usages` tells the same numbers (fact sheet, 4.3)."""
    azure.cloud.rules = replace(azure.cloud.rules, quotas={"GalleryImageVersion": 1})
    azure.cloud.put_version("0.9.0", definition=DEFINITION)
    refused = await arm.version()
    assert (refused.status, refused.code) == (409, "OperationNotAllowed")
    assert "exceeding the quota" in refused.text
    usages = (await arm("GET", f"{ROOT}/{COMPUTE}/locations/westeurope/usages")).body["value"]
    told = {each["name"]["value"]: (each["currentValue"], each["limit"]) for each in usages}
    assert told["GalleryImageVersion"] == (1, 1)
    azure.cloud.rules = replace(azure.cloud.rules, quotas={})
    assert (await arm.version()).status == 201


async def test_zones_are_told_with_the_regions(arm: Arm) -> None:
    """Where there are none, nothing stands: no Standard_ZRS there (fact sheet, section 5.3)."""
    regions = {each["name"]: each for each in (await arm("GET", f"{ROOT}/locations")).body["value"]}
    mapped = regions["westeurope"]["availabilityZoneMappings"]
    assert [each["logicalZone"] for each in mapped] == ["1", "2", "3"]
    assert "availabilityZoneMappings" not in regions["ukwest"]
