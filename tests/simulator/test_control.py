"""The control API: the same powers for a test in another process."""

import pytest

from imageferry.simulator import SimulatorServer
from tests.simulator.conftest import IMAGE, Arm, Reply


@pytest.fixture
def control(arm: Arm) -> Arm:
    """Give calls without a token."""
    return Arm(arm.session, arm.url, "")


async def call(control: Arm, method: str, path: str, body: object = None) -> Reply:
    """Call the control API."""
    return await control(method, f"/simulator/{path}", body, api="")


async def test_liveness_and_ca(azure: SimulatorServer, control: Arm) -> None:
    """`health` and `ca`."""
    assert (await call(control, "GET", "health")).body == {"status": "ok"}
    assert (await call(control, "GET", "ca")).text == azure.ca_file.read_text(encoding="utf-8")


async def test_the_clock(azure: SimulatorServer, control: Arm) -> None:
    """It is read, moved, frozen and sped up."""
    before = azure.clock.now()
    shown = (await call(control, "POST", "clock", {"advance": 60, "speed": 10})).body
    assert (shown["speed"], shown["frozen"]) == (10, True)
    assert (azure.clock.now() - before).total_seconds() == 60
    assert not (await call(control, "POST", "clock", {"freeze": False})).body["frozen"]
    assert (await call(control, "GET", "clock")).body["speed"] == 10


async def test_faults(azure: SimulatorServer, arm: Arm, control: Arm) -> None:
    """They are added, counted and removed."""
    azure.cloud.put_image("web", group="legacy")
    rule = {"operation": "images.*", "times": 1, "does": {"kind": "answer", "status": 409, "code": "ScopeLocked"}}
    number = (await call(control, "POST", "faults", rule)).body["number"]
    assert (await arm("DELETE", IMAGE)).code == "ScopeLocked"
    (shown,) = (await call(control, "GET", "faults")).body
    assert (shown["number"], shown["fired"], shown["does"]["kind"]) == (number, 1, "answer")
    assert (await call(control, "DELETE", f"faults/{number}")).status == 204
    assert (await call(control, "DELETE", f"faults/{number}")).status == 404
    await call(control, "POST", "faults", rule)
    await call(control, "DELETE", "faults")
    assert azure.faults.items() == []


async def test_the_state(azure: SimulatorServer, control: Arm) -> None:
    """Resources are put, read, dumped and removed."""
    image = azure.cloud.put_image("web", group="legacy")
    body = (await call(control, "GET", f"state{image}")).body
    copy = f"{image}-copy"
    assert (await call(control, "PUT", f"state{copy}", body)).body["id"] == copy
    assert len((await call(control, "GET", "dump")).body["resources"]) == 2
    assert (await call(control, "DELETE", f"state{copy}")).body == {"removed": True}
    assert (await call(control, "GET", f"state{copy}")).status == 404


async def test_roles_locks_and_policies(azure: SimulatorServer, arm: Arm, control: Arm) -> None:
    """They are put in force and ended from another process."""
    azure.cloud.put_image("web", group="legacy")
    lock = {"name": "keep", "scope": IMAGE}
    assert (await call(control, "POST", "locks", lock)).status == 204
    assert (await arm("DELETE", IMAGE)).code == "ScopeLocked"
    lock_id = f"{IMAGE}/providers/Microsoft.Authorization/locks/keep"
    assert (await call(control, "DELETE", f"locks{lock_id}")).status == 204
    assert (await call(control, "DELETE", f"locks{lock_id}")).status == 404
    await call(control, "POST", "policies", {"name": "tags", "requiredTags": ["owner"]})
    assert (await arm("PATCH", IMAGE, {"tags": {}})).code == "RequestDisallowedByPolicy"
    await call(control, "DELETE", "policies/tags")
    role = {"identity": "operator", "role": {"Actions": ["Microsoft.Compute/images/read"]}}
    await call(control, "POST", "roleAssignments", role)
    assert (await arm("GET", IMAGE)).status == 200
    assert (await arm("DELETE", IMAGE)).code == "AuthorizationFailed"
    await call(control, "DELETE", "roleAssignments/operator")
    assert (await arm("GET", IMAGE)).code == "AuthorizationFailed"
    await call(control, "POST", "roleAssignments", {"identity": "*", "scope": "/", "role": {"Actions": ["*"]}})
    assert (await call(control, "POST", "unregister", {"namespace": "Microsoft.Compute"})).status == 204
    assert (await arm("GET", IMAGE)).code == "MissingSubscriptionRegistration"


@pytest.mark.usefixtures("gallery")
async def test_a_region_is_set(azure: SimulatorServer, arm: Arm, control: Arm) -> None:
    """A copy fails or is completed at once; a region that is none is named."""
    version = (await arm.version()).body["id"]
    failed = await call(control, "POST", "regions", {"version": version, "region": "westeurope", "failure": "broken"})
    assert failed.body["properties"]["replicationStatus"]["summary"][0]["details"] == "broken"
    done = await call(control, "POST", "regions", {"version": version, "region": "West Europe"})
    assert done.body["properties"]["replicationStatus"]["aggregatedState"] == "Completed"
    refused = await call(control, "POST", "regions", {"version": version, "region": "mars"})
    assert (refused.status, "mars" in refused.text) == (400, True)
    assert azure.ledger.count("galleryImageVersions.*", effect="created") == 1


async def test_the_ledger(azure: SimulatorServer, arm: Arm, control: Arm) -> None:
    """It is read from a mark on."""
    azure.cloud.put_image("web", group="legacy")
    await arm("GET", IMAGE)
    mark = (await call(control, "GET", "ledger")).body["mark"]
    await arm("DELETE", IMAGE)
    (entry,) = (await call(control, "GET", f"ledger?since={mark}&effect=accepted")).body["entries"]
    assert (entry["operation"], entry["identity"], entry["resourceId"]) == ("images.delete", "operator", IMAGE)
    assert (await call(control, "DELETE", "ledger")).status == 204
    assert azure.ledger.entries() == []


async def test_settings_and_tokens(azure: SimulatorServer, arm: Arm, control: Arm) -> None:
    """Durations, rules and the life of tokens."""
    await call(control, "POST", "settings", {"durations": {"versionCreate": 3, "regions": {"northeurope": 9}}})
    assert (azure.cloud.durations.version_create, azure.cloud.durations.image_delete) == (3, 5)
    assert (await call(control, "GET", "settings")).body["durations"]["regions"] == {"northeurope": 9}
    await call(control, "POST", "tokens", {"lifetime": 60, "expire": True})
    assert azure.tokens.lifetime == 60
    assert (await arm("GET", IMAGE)).status == 401


@pytest.mark.parametrize(
    ("path", "body", "names"),
    [
        pytest.param("clock", {"advance": -1}, "seconds is -1", id="back"),
        pytest.param("clock", {"sped": 1}, "sped: no such field; there are speed", id="unknown"),
        pytest.param("clock", {"speed": "fast"}, "speed: a number is expected", id="type"),
        pytest.param("clock", [], "must be a JSON object", id="shape"),
        pytest.param(
            "faults", {"does": {"kind": "explode"}}, "fault.does.kind: 'explode' is none of answer", id="kind"
        ),
        pytest.param("faults", {"does": {"kind": "slow", "seconds": "x"}}, "fault.does.seconds", id="fault-field"),
        pytest.param("faults", {"odd": 1, "does": {"kind": "reset"}}, "fault.odd: no such field", id="fault-unknown"),
        pytest.param("locks", {"name": "a", "scope": "/", "level": "Soft"}, "locks.level", id="lock"),
        pytest.param("roleAssignments", {"identity": "a", "role": "no.json"}, "'no.json' cannot be read", id="role"),
        pytest.param(
            "settings", {"durations": {"versionCreated": 1}}, "durations.versionCreated: no such", id="setting"
        ),
    ],
)
async def test_a_mistake_is_named(control: Arm, path: str, body: object, names: str) -> None:
    """400 with the field, what was found and what is allowed."""
    refused = await call(control, "POST", path, body)
    assert refused.status == 400
    assert names in refused.body["error"]


async def test_an_id_of_an_unknown_kind(control: Arm) -> None:
    """It is refused, not stored."""
    refused = await call(control, "PUT", "state/subscriptions/s/resourceGroups/g", {"location": "westeurope"})
    assert (refused.status, "not the id of a resource" in refused.text) == (400, True)
