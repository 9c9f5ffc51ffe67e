"""Locks, rights, policies and registration: what stands between a caller and a resource."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imageferry.simulator import SUBSCRIPTION, Policy, SimulatorServer
from tests.simulator.conftest import COMPUTE, DEFINITION, GALLERY, GROUP, IMAGE, VERSION, Arm, version_body

ROLES = Path(__file__).parents[2] / "deploy" / "azure"
LEGACY, ROOT = f"{GROUP}/legacy", f"/subscriptions/{SUBSCRIPTION}"
LOCK = "providers/Microsoft.Authorization/locks"


def allow(azure: SimulatorServer, *actions: str, scope: str = ROOT, but: tuple[str, ...] = ()) -> None:
    """Give the caller of these tests some rights."""
    azure.cloud.assign("operator", {"Name": "some", "Actions": list(actions), "NotActions": list(but)}, scope=scope)


@pytest.mark.parametrize("scope", [ROOT, LEGACY, IMAGE], ids=["subscription", "group", "image"])
async def test_a_lock_keeps_an_image(azure: SimulatorServer, arm: Arm, scope: str) -> None:
    """409 ScopeLocked names the locking scope, also an inherited one (fact sheet, sections 3.8 and 7)."""
    azure.cloud.put_image("web", group="legacy")
    lock = azure.cloud.put_lock("keep", scope=scope)
    refused = await arm("DELETE", IMAGE)
    assert (refused.status, refused.code) == (409, "ScopeLocked")
    assert f"following scope(s) are locked: '{scope}'" in refused.text
    assert (await arm("PATCH", IMAGE, {"tags": {"a": "b"}})).status == 200, "CanNotDelete blocks nothing but DELETE"
    azure.cloud.remove_lock(lock)
    azure.clock.advance(60)
    assert (await arm("DELETE", IMAGE)).status == 202


async def test_a_read_only_lock_stops_writes_and_actions(azure: SimulatorServer, arm: Arm, gallery: str) -> None:
    """ReadOnly blocks PUT, PATCH, POST and DELETE, and no GET (fact sheet, section 3.8)."""
    azure.cloud.put_lock("frozen", scope=f"{GROUP}/images", level="ReadOnly")
    for reply in (
        await arm.version(),
        await arm("PATCH", gallery, {"properties": {}}),
        await arm("POST", f"{GALLERY}/share", {"operationType": "Reset"}),
        await arm("DELETE", gallery),
    ):
        assert (reply.status, reply.code) == (409, "ScopeLocked")
    assert (await arm("GET", gallery)).status == 200
    assert azure.ledger.mutations() == []


async def test_locks_are_made_listed_and_deleted(azure: SimulatorServer, arm: Arm) -> None:
    """PUT 201 then 200, lists with what is inherited, DELETE 200 then 204 (fact sheet, section 3.8)."""
    azure.cloud.put_image("web", group="legacy")
    body = {"properties": {"level": "CanNotDelete", "notes": "ask ops"}}
    assert (await arm("PUT", f"{LEGACY}/{LOCK}/keep", body, api="2016-09-01")).status == 201
    assert (await arm("PUT", f"{LEGACY}/{LOCK}/keep", body, api="2016-09-01")).status == 200
    assert (await arm("PUT", f"{LEGACY}/{LOCK}/odd", {"properties": {"level": "Hard"}})).code == "InvalidParameter"
    await arm("PUT", f"{IMAGE}/{LOCK}/own", body)
    listed = (await arm("GET", f"{IMAGE}/{LOCK}?$filter=atScope()")).body["value"]
    assert {lock["id"] for lock in listed} == {f"{LEGACY}/{LOCK}/keep", f"{IMAGE}/{LOCK}/own"}
    assert [lock["name"] for lock in (await arm("GET", f"{LEGACY}/{LOCK}?$filter=atScope()")).body["value"]] == ["keep"]
    assert len((await arm("GET", f"{ROOT}/{LOCK}")).body["value"]) == 2, "without the filter, what is below counts too"
    assert (await arm("GET", f"{LEGACY}/{LOCK}/keep")).body["properties"] == body["properties"]
    assert (await arm("DELETE", f"{LEGACY}/{LOCK}/keep")).status == 200
    assert (await arm("DELETE", f"{LEGACY}/{LOCK}/keep")).status == 204
    assert (await arm("GET", f"{LEGACY}/{LOCK}/keep")).status == 404


async def test_a_removed_lock_is_honoured_late(azure: SimulatorServer, arm: Arm) -> None:
    """Its removal takes time to be honoured (fact sheet, sections 3.8 and 13.10)."""
    azure.cloud.rules = replace(azure.cloud.rules, removed_lock_honoured=120)
    azure.cloud.put_image("web", group="legacy")
    lock = azure.cloud.put_lock("keep", scope=LEGACY)
    assert (await arm("DELETE", lock)).status == 200
    azure.clock.advance(119)
    assert (await arm("DELETE", IMAGE)).code == "ScopeLocked"
    azure.clock.advance(1)
    assert (await arm("DELETE", IMAGE)).status == 202


async def test_without_assignments_all_is_allowed(azure: SimulatorServer, arm: Arm) -> None:
    """Rights are off until the first assignment, and then hold for everybody."""
    azure.cloud.put_image("web", group="legacy")
    assert (await arm("GET", IMAGE)).status == 200
    azure.cloud.assign("somebody else", {"Actions": ["*"]}, scope="/")
    refused = await arm("GET", IMAGE)
    assert (refused.status, refused.code) == (403, "AuthorizationFailed")
    assert refused.headers["x-ms-failure-cause"] == "gateway"
    assert "The client 'operator' with object id '" in refused.text
    assert (
        f"to perform action 'Microsoft.Compute/images/read' over scope '{IMAGE}' or the scope is invalid"
        in refused.text
    )


@pytest.mark.usefixtures("gallery")
@pytest.mark.parametrize(
    ("method", "target", "action"),
    [
        pytest.param("DELETE", IMAGE, "Microsoft.Compute/images/delete", id="delete"),
        pytest.param("PUT", DEFINITION, "Microsoft.Compute/galleries/images/write", id="write"),
        pytest.param("GET", f"{LEGACY}/{COMPUTE}/images", "Microsoft.Compute/images/read", id="list"),
        pytest.param("POST", f"{GALLERY}/share", "Microsoft.Compute/galleries/share/action", id="action"),
        pytest.param("GET", f"{LEGACY}/{LOCK}", "Microsoft.Authorization/locks/read", id="locks"),
        pytest.param(
            "GET",
            f"{ROOT}/{COMPUTE}/locations/westeurope/usages",
            "Microsoft.Compute/locations/usages/read",
            id="usages",
        ),
        pytest.param(
            "GET",
            f"{ROOT}/{COMPUTE}/locations/westeurope/capsOperations/x",
            "Microsoft.Compute/locations/capsOperations/read",
            id="poll",
        ),
        pytest.param("HEAD", LEGACY, "Microsoft.Resources/subscriptions/resourceGroups/read", id="group"),
    ],
)
async def test_each_call_needs_its_own_right(
    azure: SimulatorServer, arm: Arm, method: str, target: str, action: str
) -> None:
    """403 without it, whatever else is allowed; no 403 with it alone (fact sheet, section 8)."""
    allow(azure, "*", but=(action,))
    body = {"location": "westeurope"} if method in ("PUT", "POST") else None
    assert (await arm(method, target, body)).status == 403
    azure.cloud.revoke("operator")
    allow(azure, action)
    assert (await arm(method, target, body)).status != 403


async def test_rights_hold_below_their_scope_only(azure: SimulatorServer, arm: Arm) -> None:
    """A right on a group covers what is in it, and nothing else; wildcards and NotActions count."""
    azure.cloud.put_image("web", group="legacy")
    azure.cloud.put_image("web", group="images")
    allow(azure, "Microsoft.Compute/*/read", "Microsoft.Compute/images/*", but=("*/delete",), scope=LEGACY.upper())
    assert (await arm("GET", IMAGE)).status == 200
    assert (await arm("PATCH", IMAGE, {"tags": {}})).status == 200
    assert (await arm("DELETE", IMAGE)).code == "AuthorizationFailed"
    assert (await arm("GET", IMAGE.replace("legacy", "images"))).code == "AuthorizationFailed"
    assert (await arm("GET", IMAGE.replace("legacy", "legacy2"))).code == "AuthorizationFailed"


@pytest.mark.usefixtures("gallery")
@pytest.mark.parametrize(
    ("right", "profile"),
    [
        pytest.param("Microsoft.Compute/images/read", {}, id="source"),
        pytest.param(
            "Microsoft.Compute/diskEncryptionSets/read",
            {
                "targetRegions": [
                    {
                        "name": "westeurope",
                        "encryption": {
                            "osDiskImage": {"diskEncryptionSetId": f"{LEGACY}/{COMPUTE}/diskEncryptionSets/keys"}
                        },
                    }
                ]
            },
            id="encryption",
        ),
    ],
)
async def test_linked_scopes_need_rights_too(
    azure: SimulatorServer, arm: Arm, right: str, profile: dict[str, Any]
) -> None:
    """403 LinkedAuthorizationFailed names the right and the linked scope (fact sheet, section 8)."""
    azure.cloud.put(f"{LEGACY}/{COMPUTE}/diskEncryptionSets/keys", {"location": "westeurope"})
    allow(azure, "*", but=(right,))
    refused = await arm.version(**profile)
    assert (refused.status, refused.code) == (403, "LinkedAuthorizationFailed")
    assert "has permission to perform action 'Microsoft.Compute/galleries/images/versions/write'" in refused.text
    assert f"does not have permission to perform action(s) '{right}' on the linked scope(s) '{LEGACY}/" in refused.text
    allow(azure, right, scope=LEGACY)
    assert (await arm.version(**profile)).status == 201


async def test_an_update_without_a_source_needs_no_right_on_it(azure: SimulatorServer, arm: Arm, gallery: str) -> None:
    """So the CLI strips the source on update (fact sheet, section 3.5)."""
    azure.cloud.put_version("1.0.0", definition=gallery, source=IMAGE)
    allow(azure, "*", but=("Microsoft.Compute/images/*",))
    assert (await arm("PUT", VERSION, version_body())).code == "LinkedAuthorizationFailed"
    assert (await arm("PUT", VERSION, version_body(None))).status == 200


async def test_our_own_roles_suffice_to_migrate(azure: SimulatorServer, arm: Arm) -> None:
    """Those in deploy/azure hold what a migration does, a missing gallery and repairs included, and no more."""
    azure.cloud.put_image("web", group="legacy")
    azure.cloud.put_gallery("prod", group="images")
    for name in ("migrator", "reaper"):
        azure.cloud.assign("operator", json.loads((ROLES / f"{name}.json").read_text(encoding="utf-8")), scope=ROOT)
    azure.cloud.put_definition("web", gallery=GALLERY)
    assert (await arm.version()).status == 201
    assert (await arm("GET", f"{VERSION}?$expand=ReplicationStatus")).status == 200
    assert (await arm("DELETE", IMAGE)).status == 202
    azure.clock.advance(600)
    assert (await arm("DELETE", f"{VERSION}?bypassSoftDelete=true")).status == 202
    assert (await arm("DELETE", DEFINITION)).code == "AuthorizationFailed"
    assert (await arm("PUT", GALLERY, {"location": "westeurope"})).status == 200
    assert (await arm("DELETE", GALLERY)).code == "AuthorizationFailed"


async def test_a_new_role_takes_time(azure: SimulatorServer, arm: Arm) -> None:
    """Role changes take minutes to propagate (fact sheet, section 8)."""
    azure.cloud.rules = replace(azure.cloud.rules, role_propagation=300)
    azure.cloud.put_image("web", group="legacy")
    allow(azure, "*/read")
    azure.clock.advance(299)
    assert (await arm("GET", IMAGE)).code == "AuthorizationFailed"
    azure.clock.advance(1)
    assert (await arm("GET", IMAGE)).status == 200


async def test_policies_deny_writes(azure: SimulatorServer, arm: Arm) -> None:
    """403 RequestDisallowedByPolicy outside the allowed regions or without a tag (fact sheet, section 9)."""
    azure.cloud.put_policy(
        Policy(name="regions", types=("Microsoft.Compute/galleries*",), allowed_locations=("northeurope",))
    )
    azure.cloud.put_policy(Policy(name="tags", types=("Microsoft.Compute/galleries",), required_tags=("owner",)))
    refused = await arm("PUT", GALLERY, {"location": "West Europe", "tags": {"owner": "ops"}})
    assert (refused.status, refused.code) == (403, "RequestDisallowedByPolicy")
    assert "'prod' was disallowed by policy" in refused.text
    assert refused.body["error"]["target"] == "prod"
    assert "tags" in (await arm("PUT", GALLERY, {"location": "North Europe"})).text
    assert (await arm("PUT", GALLERY, {"location": "North Europe", "tags": {"owner": "ops"}})).status == 201
    azure.cloud.remove_policy("tags")
    azure.clock.advance(1)
    assert (await arm("PUT", GALLERY, {"location": "northeurope"})).status == 200


async def test_a_provider_must_be_registered(azure: SimulatorServer, arm: Arm) -> None:
    """409 MissingSubscriptionRegistration until a registration has gone through (fact sheet, sections 2.5 and 9)."""
    azure.cloud.put_image("web", group="legacy")
    azure.cloud.unregister()
    refused = await arm("GET", IMAGE)
    assert (refused.status, refused.code) == (409, "MissingSubscriptionRegistration")
    assert "to use namespace 'Microsoft.Compute'" in refused.text
    assert (await arm("GET", f"{ROOT}/{COMPUTE}")).body["registrationState"] == "NotRegistered"
    assert (await arm("POST", f"{ROOT}/{COMPUTE}/register")).body["registrationState"] == "Registering"
    assert (await arm("GET", IMAGE)).status == 409
    azure.clock.advance(30)
    assert (await arm("GET", f"{ROOT}/{COMPUTE}")).body["registrationState"] == "Registered"
    assert (await arm("GET", IMAGE)).status == 200
