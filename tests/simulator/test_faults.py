"""Each kind of fault, and the rules that say which calls it meets."""

import time
from typing import Any

import aiohttp
import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.mgmt.compute.aio import ComputeManagementClient

from imageferry.simulator import (
    Answer,
    FailOperation,
    Fault,
    Faults,
    HtmlPage,
    Reset,
    SimulatorServer,
    Slow,
    Stale,
)
from tests.simulator.conftest import IMAGE, VERSION, Arm, ClientFor, arm_error


@pytest.fixture(autouse=True)
def image(azure: SimulatorServer) -> str:
    """Let the image `web` exist."""
    return azure.cloud.put_image("web", group="legacy")


async def test_an_answer_replaces_the_effect(azure: SimulatorServer, arm: Arm) -> None:
    """Status, code and headers as given, in the gateway's envelope; nothing is deleted."""
    azure.faults.add(Fault("images.delete", Answer(429, "TooManyRequests", "slow down", headers={"Retry-After": "17"})))
    refused = await arm("DELETE", IMAGE)
    assert (refused.status, refused.code, refused.headers["Retry-After"]) == (429, "TooManyRequests", "17")
    assert refused.headers["x-ms-failure-cause"] == "gateway"
    assert azure.ledger.mutations() == []
    assert azure.ledger.entries()[-1].effect == "refused"


async def test_missing_rights_name_action_and_scope(azure: SimulatorServer, client_for: ClientFor) -> None:
    """403 for one identity, and not for another."""
    azure.faults.add(Fault("images.delete", Answer(403, "AuthorizationFailed"), identity="migrator"))
    with pytest.raises(HttpResponseError) as refused:
        await client_for("migrator").images.begin_delete("legacy", "web")
    assert refused.value.status_code == 403
    assert f"'Microsoft.Compute/images/delete' over scope '{IMAGE}'" in arm_error(refused.value).message
    await client_for("reaper").images.begin_delete("legacy", "web")
    assert [entry.identity for entry in azure.ledger.mutations()] == ["reaper"]


async def test_the_front_door_may_answer_in_html(azure: SimulatorServer, arm: Arm) -> None:
    """503 with a page and no JSON."""
    azure.faults.add(Fault("images.get", HtmlPage(), times=1))
    down = await arm("GET", IMAGE)
    assert (down.status, down.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert (await arm("GET", IMAGE)).status == 200


@pytest.mark.parametrize(("when", "effective"), [("before", 0), ("after", 1)])
async def test_a_reset_before_or_after_the_effect(
    azure: SimulatorServer, arm: Arm, when: Any, *, effective: int
) -> None:
    """The client cannot tell them apart; the ledger can."""
    azure.faults.add(Fault("images.delete", Reset(when)))
    with pytest.raises(aiohttp.ClientConnectionError):
        await arm("DELETE", IMAGE)
    assert len(azure.ledger.mutations()) == effective
    assert not any(entry.answered for entry in azure.ledger.entries())
    state: Any = azure.cloud.get(IMAGE)
    assert state["properties"]["provisioningState"] == ("Deleting" if effective else "Succeeded")


async def test_a_reset_reaches_the_sdk(azure: SimulatorServer, client: ComputeManagementClient) -> None:
    """As an error of the transport, not as an answer."""
    await client.images.get("legacy", "web")
    azure.faults.add(Fault("images.delete", Reset("after"), times=2))
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        await client.images.begin_delete("legacy", "web")
    assert azure.ledger.count("images.delete", effect="accepted") == 1


async def test_a_slow_answer(azure: SimulatorServer, arm: Arm) -> None:
    """It comes late, by real time; the effect has taken place by then."""
    azure.faults.add(Fault("images.get", Slow(0.05)))
    began = time.monotonic()
    assert (await arm("GET", IMAGE)).status == 200
    assert time.monotonic() - began >= 0.05


async def test_an_operation_that_fails_at_its_end(azure: SimulatorServer, arm: Arm) -> None:
    """Accepted, in progress, Failed; the image stays and is Failed."""
    azure.faults.add(Fault("images.delete", FailOperation("InternalExecutionError", "boom"), times=1))
    url = (await arm("DELETE", IMAGE)).headers["Azure-AsyncOperation"]
    assert (await arm("GET", url)).body["status"] == "InProgress"
    azure.clock.advance(5)
    assert (await arm("GET", url)).body["error"] == {"code": "InternalExecutionError", "message": "boom"}
    assert (await arm("GET", IMAGE)).body["properties"]["provisioningState"] == "Failed"


@pytest.mark.usefixtures("gallery")
async def test_a_build_that_fails(azure: SimulatorServer, arm: Arm) -> None:
    """After the given time, with all of its regions."""
    azure.faults.add(Fault("galleryImageVersions.createOrUpdate", FailOperation(after=30)))
    await arm.version()
    azure.clock.advance(30)
    shown: Any = azure.cloud.get(VERSION)
    assert shown["properties"]["provisioningState"] == "Failed"
    assert shown["properties"]["replicationStatus"]["aggregatedState"] == "Failed"
    assert "osDiskImage" not in shown["properties"]["storageProfile"]


async def test_stale_reads(azure: SimulatorServer, arm: Arm) -> None:
    """404 for what exists, and the old body of what is gone."""
    missing = azure.faults.add(Fault("images.get", Stale("missing")))
    assert (await arm("GET", IMAGE)).code == "ResourceNotFound"
    azure.faults.remove(missing)
    await arm("DELETE", IMAGE)
    azure.clock.advance(5)
    azure.faults.add(Fault("images.get", Stale("deleted"), times=1))
    assert (await arm("GET", IMAGE)).body["properties"]["provisioningState"] == "Succeeded"
    assert (await arm("GET", IMAGE)).status == 404


@pytest.mark.parametrize(
    ("rule", "hits"),
    [
        pytest.param({}, [1, 2, 3, 4, 5], id="always"),
        pytest.param({"times": 2}, [1, 2], id="first"),
        pytest.param({"skip": 2, "times": 1}, [3], id="third"),
        pytest.param({"resource": "IMAGES/WEB"}, [1, 2, 3, 4, 5], id="resource-in-any-case"),
        pytest.param({"resource": "images/other"}, [], id="other-resource"),
        pytest.param({"identity": "somebody"}, [], id="other-identity"),
        pytest.param({"probability": 0.0}, [], id="never"),
    ],
)
async def test_which_calls_a_rule_meets(
    azure: SimulatorServer, arm: Arm, rule: dict[str, Any], hits: list[int]
) -> None:
    """By operation pattern, resource, identity and count."""
    number = azure.faults.add(Fault("*.get", Answer(500, "InternalServerError"), **rule))
    met = [call for call in range(1, 6) if (await arm("GET", IMAGE)).status == 500]
    assert met == hits
    assert azure.faults.fired(number) == len(hits)
    assert [fired for _, _, fired in azure.faults.items()] == [len(hits)]


def test_chance_is_repeatable() -> None:
    """The same seed gives the same run."""

    def run(seed: int) -> list[int]:
        faults = Faults(seed=seed)
        faults.add(Fault("*", Answer(500, "x"), probability=0.5))
        return [len(faults.draw("images.get", "", "")) for _ in range(50)]

    assert run(1) == run(1) != run(2)
    assert 10 < sum(run(1)) < 40
