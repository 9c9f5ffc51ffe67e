"""Regions have clocks of their own, and lag the operation."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageferry.simulator import Durations, FailRegion, Fault, SimulatorServer
from tests.simulator.conftest import IMAGE, VERSION, Arm, version_body

REGIONS = [{"name": "westeurope"}, {"name": "northeurope"}, {"name": "West US 3"}]


def summary(azure: SimulatorServer) -> dict[str, tuple[str, int]]:
    """Give state and progress per region."""
    version = azure.cloud.get(VERSION)
    assert version is not None
    status: Any = version["properties"]["replicationStatus"]["summary"]
    return {each["region"]: (each["state"], each["progress"]) for each in status}


@pytest.mark.usefixtures("gallery")
async def test_regions_lag_the_operation(azure: SimulatorServer, arm: Arm) -> None:
    """The operation succeeds while every region still replicates; home first, then the others in turn."""
    azure.cloud.durations = replace(azure.cloud.durations, regions={"northeurope": 300, "westus3": 900})
    await arm.version(targetRegions=REGIONS)
    assert summary(azure) == dict.fromkeys(("westeurope", "northeurope", "westus3"), ("Replicating", 0))
    azure.clock.advance(420)
    assert (await arm("GET", VERSION)).body["properties"]["provisioningState"] == "Succeeded"
    assert {state for state, _ in summary(azure).values()} == {"Replicating"}
    azure.clock.advance(60)
    assert summary(azure)["westeurope"] == ("Completed", 100)
    azure.clock.advance(240)
    assert [state for state, _ in summary(azure).values()] == ["Completed", "Completed", "Replicating"]
    azure.clock.advance(600)
    assert set(summary(azure).values()) == {("Completed", 100)}


async def test_an_added_region_starts_anew_and_others_stay(azure: SimulatorServer, arm: Arm, gallery: str) -> None:
    """A PUT with empty storageProfile keeps source and published date, in the order sent."""
    azure.cloud.put_version("1.0.0", definition=gallery, source=IMAGE)
    before: Any = azure.cloud.get(VERSION)
    azure.clock.advance(100)
    changed = await arm("PUT", VERSION, version_body(source=None, targetRegions=[*REGIONS[:0:-1], REGIONS[0]]))
    profile = changed.body["properties"]["publishingProfile"]
    assert [region["name"] for region in profile["targetRegions"]] == ["West US 3", "North Europe", "West Europe"]
    assert profile["publishedDate"] == before["properties"]["publishingProfile"]["publishedDate"]
    assert changed.body["properties"]["storageProfile"] == before["properties"]["storageProfile"]
    assert summary(azure)["westeurope"] == ("Completed", 100)
    assert summary(azure)["northeurope"] == ("Replicating", 0)


@pytest.mark.usefixtures("gallery")
async def test_a_failed_region_is_cured_by_removing_and_adding_it(azure: SimulatorServer, arm: Arm) -> None:
    """One region fails with details while the others complete; a new copy starts when it is added again."""
    azure.faults.add(Fault("galleryImageVersions.*", FailRegion("North Europe", "no capacity"), times=1))
    await arm.version(targetRegions=REGIONS)
    azure.clock.advance(4_000)
    shown: Any = azure.cloud.get(VERSION)
    status = shown["properties"]["replicationStatus"]
    assert (shown["properties"]["provisioningState"], status["aggregatedState"]) == ("Succeeded", "Failed")
    assert status["summary"][1] == {
        "region": "northeurope",
        "state": "Failed",
        "details": "no capacity",
        "progress": 50,
    }
    for regions in (REGIONS[::2], REGIONS):
        body = version_body(source=None, targetRegions=regions)
        body["properties"]["safetyProfile"] = {"allowDeletionOfReplicatedLocations": True}
        assert (await arm("PUT", VERSION, body)).status == 200
        azure.clock.advance(4_000)
    assert summary(azure)["northeurope"] == ("Completed", 100)


@pytest.mark.usefixtures("gallery")
async def test_a_failed_region_may_fail_the_operation(azure: SimulatorServer, arm: Arm) -> None:
    """With a code, the operation lists the region; what completed stays, and an update is still taken."""
    code = "CrpPirReplicationJobsNotCompleted"
    azure.faults.add(Fault("galleryImageVersions.*", FailRegion("northeurope", "timeout", code), times=1))
    created = await arm.version(targetRegions=REGIONS)
    azure.clock.advance(4_000)
    operation = (await arm("GET", created.headers["Azure-AsyncOperation"])).body
    assert (operation["status"], operation["error"]["code"]) == ("Failed", code)
    assert "{region:northeurope, detail:timeout}" in operation["error"]["message"]
    assert summary(azure)["westeurope"] == ("Completed", 100)
    assert (await arm("PUT", VERSION, version_body(source=None, targetRegions=REGIONS))).status == 200


async def test_a_test_may_set_a_region(azure: SimulatorServer, gallery: str) -> None:
    """`fail_region` and `complete_region` take effect at once; a body may bring states along."""
    version = azure.cloud.put_version("1.0.0", definition=gallery, regions=("westeurope", "northeurope"))
    azure.cloud.fail_region(version, "northeurope", "gone")
    assert summary(azure)["northeurope"][0] == "Failed"
    azure.cloud.complete_region(version, "North Europe")
    assert summary(azure)["northeurope"] == ("Completed", 100)
    shown: Any = azure.cloud.get(version)
    shown["properties"]["replicationStatus"]["summary"][1]["state"] = "Replicating"
    azure.cloud.put(version, shown)
    assert summary(azure)["northeurope"][0] == "Replicating"


@given(st.sampled_from(["westeurope", "eastus", "japaneast"]), st.integers(1, 30))
def test_a_region_further_down_the_list_takes_longer(region: str, order: int) -> None:
    """Delays are fixed by name and place, and never shorter than the home region's."""
    durations = Durations()
    delay = durations.region_delay(region, home=False, order=order)
    assert delay == durations.region_delay(region, home=False, order=order)
    assert durations.home_region + order * durations.region_step <= delay
    assert delay < durations.region_delay(region, home=False, order=order + 1)
