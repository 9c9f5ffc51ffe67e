"""Errors that the simulator makes against those that were recorded, also from other providers: one envelope for all.

Names differ, so messages are compared with everything in quotes masked.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from imageferry.simulator import SimulatorServer
from tests.simulator.conftest import COMPUTE, DEFINITION, GROUP, IMAGE, Arm, Reply
from tests.simulator.test_machines import MACHINE, machine_body
from tests.simulator.test_replay import recorded

OS_DISK = {"osType": "Linux", "osState": "Generalized"}
ABSENT = f"{GROUP}/legacy/{COMPUTE}/snapshots/none"


def image_body(hyper_v_generation: str | None = "V2", **disk: Any) -> dict[str, Any]:
    """Give the body of an image of one disk."""
    generation = {"hyperVGeneration": hyper_v_generation} if hyper_v_generation else {}
    return {
        "location": "westeurope",
        "properties": {"storageProfile": {"osDisk": {**OS_DISK, **disk}}, **generation},
    }


@dataclass(frozen=True)
class Case:
    """A recorded error, found by its code and a part of its message, and the call that provokes the same."""

    code: str
    part: str
    method: str
    target: str
    body: Any = None
    prepare: Callable[[SimulatorServer], object] = lambda _: None


CASES = [
    Case("ResourceNotFound", "ARMResourceNotFoundFix", "GET", IMAGE),
    Case("ResourceGroupNotFound", "could not be found", "DELETE", f"{GROUP}/none/{COMPUTE}/images/web"),
    Case("ParentResourceNotFound", "Failed to perform 'delete'", "DELETE", f"{DEFINITION}/versions/1.0.0"),
    Case("ParentResourceNotFound", "Failed to perform 'write'", "PUT", DEFINITION, {"location": "westeurope"}),
    Case(
        "CannotDeleteResource",
        "nested resource IDs",
        "DELETE",
        DEFINITION,
        None,
        lambda azure: azure.cloud.put_version(
            "1.0.0",
            definition=azure.cloud.put_definition("web", gallery=azure.cloud.put_gallery("prod", group="images")),
        ),
    ),
    Case(
        "AuthorizationFailed",
        "does not have authorization",
        "DELETE",
        IMAGE,
        None,
        lambda azure: azure.cloud.assign("nobody", {"Actions": ["*"]}, scope="/"),
    ),
    Case("InvalidResourceType", "could not be found in the namespace", "GET", f"{IMAGE}/parts/x"),
    Case("NotFound", "in this Azure location", "PUT", IMAGE, image_body(snapshot={"id": ABSENT})),
    Case("InvalidParameter", "hyperVGeneration", "PUT", IMAGE, image_body(None, blobUri="https://a/b.vhd")),
    Case(
        "BadRequest",
        "TrustedLaunch",
        "PUT",
        MACHINE,
        machine_body(IMAGE, securityProfile={"securityType": "TrustedLaunch"}),
        lambda azure: azure.cloud.put_image("web", group="legacy"),
    ),
]


def shape(text: str, *, quoted: bool = True) -> tuple[list[str], str]:
    """Give the keys of an error in order, and its message without names."""
    error = json.loads(text)["error"]
    names = r"'[^']*'" if quoted else r"$^"
    return list(error), re.sub(r"\.$", "", re.sub(names, "*", error["message"]))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.method}")
async def test_an_error_is_as_recorded(azure: SimulatorServer, arm: Arm, case: Case) -> None:
    """Status, maker, layout, keys and message are those of the recording."""
    rows = [json.loads(line) for line in recorded("arm-errors.jsonl").read_text(encoding="utf-8").splitlines()]
    there = next(
        row
        for row in rows
        if (row["error_code"] == case.code and case.part in row["response_body"] and row["method"] == case.method)
        or (row["error_code"] == case.code and case.part in row["response_body"])
    )
    case.prepare(azure)
    reply: Reply = await arm(case.method, case.target, case.body)
    assert reply.status == there["status"]
    assert reply.headers.get("x-ms-failure-cause") == there["response_headers"].get("x-ms-failure-cause")
    assert ("\r\n" in reply.text) == ("\r\n" in there["response_body"])
    assert shape(reply.text) == shape(there["response_body"])
