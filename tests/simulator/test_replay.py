"""The recorded `test_gallery_e2e` of azure-cli, request by request against the simulator.

Status, headers that clients act on, and bodies (keys, order, values, casing) must be as recorded, at the recorded pace.

Accepted deviations, which `masked` and `differences` let pass:
- instants and guids: only their form can be equal;
- `identifier.uniqueName`, and the group that the list of galleries writes in capitals: the recording masks the
  subscription and those names elsewhere, but not there;
- how much is left of a rate limit: it depends on what else the recorded account did in the same minutes.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from imageferry.simulator import SimulatorServer
from tests.simulator.conftest import Arm, Reply

TRACES = Path("shared/reference/arm-traces/arm-traces.jsonl")
RECORDING = "vm/latest/test_gallery_e2e.yaml"
MACHINE = "/subscriptions/{}/resourceGroups/clitest.rg000001/providers/Microsoft.Compute/virtualMachines/vm1"
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?\+00:00")
ACTED_ON = ("azure-asyncoperation", "location", "content-type")


@dataclass(frozen=True)
class Row:
    """One recorded request with its answer."""

    seq: int
    method: str
    path: str
    query: str
    request_body: str | None
    status: int
    headers: dict[str, str]
    text: str
    when: datetime


def recorded() -> list[Row]:
    """Read the sequence; skips where the recordings are not at hand."""
    given = os.environ.get("IMAGEFERRY_ARM_TRACES")
    path = Path(given) if given else Path(__file__).parents[3] / TRACES
    if not path.is_file():
        pytest.skip("recorded Azure traffic is not here; set IMAGEFERRY_ARM_TRACES to arm-traces.jsonl")
    with path.open(encoding="utf-8") as lines:
        return [_row(found) for found in map(json.loads, lines) if found["source_recording"].endswith(RECORDING)]


def _row(found: dict[str, Any]) -> Row:
    return Row(
        seq=found["seq"],
        method=found["method"],
        path=found["path"],
        query=found["query"],
        request_body=found["request_body"],
        status=found["status"],
        headers=found["response_headers"],
        text=found["response_body"] or "",
        when=parsedate_to_datetime(found["date"]),
    )


def prepare(azure: SimulatorServer, rows: list[Row]) -> None:
    """Let the machine exist from which the recorded image was captured."""
    subscription = rows[0].path.split("/")[2]
    azure.cloud.put_group("clitest.rg000001", subscription=subscription, location="eastus2")
    built = next(row for row in rows if row.method == "GET" and row.path.endswith("/images/managedImage1"))
    disks = json.loads(built.text)["properties"]["storageProfile"]
    for disk in (disks["osDisk"], *disks["dataDisks"]):
        disk["managedDisk"]["storageAccountType"] = disk["storageAccountType"]
    body = {"location": "eastus2", "properties": {"storageProfile": disks}}
    azure.cloud.put(MACHINE.format(subscription), body)


def url_shape(url: str) -> str:
    """Give what stays the same of an operation URL: path without guids, and the names of its parameters."""
    path, _, query = url.partition("://")[2].partition("/")[2].partition("?")
    return (
        GUID.sub("*", path.partition("/subscriptions/")[2] or path) + "?" + ",".join(re.findall(r"(\w[\w-]*)=", query))
    )


def policies(header: str) -> list[str]:
    """Give the names of the rate limits."""
    return [part.partition(";")[0] for part in header.split(",")]


def masked(value: Any, key: str = "") -> Any:
    """Replace what can never be equal by its form."""
    if isinstance(value, dict):
        return {name: masked(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [masked(each, key) for each in value]
    if key == "uniqueName":
        return re.fullmatch(r"[0-9a-f-]{36}-[A-Z0-9_.]+", value) is not None
    if isinstance(value, str):
        value = re.sub(r"/resourceGroups/CLITEST\.RG\w+/", "/resourceGroups/CAPITALS/", value)
        return INSTANT.sub("instant", GUID.sub("guid", value))
    return value


def differences(row: Row, reply: Reply) -> Iterator[str]:
    """Name everything in which the answer differs from the recorded one."""
    headers = {name.lower(): value for name, value in reply.headers.items()}
    if reply.status != row.status:
        yield f"status {reply.status}, recorded {row.status}"
    for name in ACTED_ON:
        wanted, found = row.headers.get(name), headers.get(name)
        if row.text == "" and name == "content-type":
            continue
        shape = url_shape if name != "content-type" else str
        if (wanted and shape(wanted)) != (found and shape(found)):
            yield f"{name} {found and shape(found)}, recorded {wanted and shape(wanted)}"
    for name, wanted in row.headers.items():
        if (
            "ratelimit" in name
            and (name not in headers or policies(headers[name]) != policies(wanted))
            and "resource" in name
        ):
            yield f"{name} {headers.get(name)}, recorded {wanted}"
        if "ratelimit" in name and name not in headers:
            yield f"{name} missing"
    yield from _body_differences(row, reply)


def _body_differences(row: Row, reply: Reply) -> Iterator[str]:
    if not row.text or not reply.text:
        if row.text != reply.text:
            yield f"body {reply.text!r}, recorded {row.text!r}"
        return
    wanted, found = json.dumps(masked(json.loads(row.text))), json.dumps(masked(reply.body))
    if wanted != found:
        yield f"body {found}\n  recorded {wanted}"
    if ("\r\n  " in row.text) != ("\r\n  " in reply.text):
        yield "layout"


async def test_the_recorded_sequence(azure: SimulatorServer, arm: Arm) -> None:
    """All of its requests get the recorded answers."""
    rows = recorded()
    prepare(azure, rows)
    urls: dict[str, str] = {}
    seen: list[str] = []
    now = rows[0].when
    for row in rows:
        azure.clock.advance(max(0.0, (row.when - now).total_seconds()))
        now = max(now, row.when)
        target = urls.get(row.path.rpartition("/")[2], f"{row.path}?{row.query}")
        reply = await arm(row.method, target, json.loads(row.request_body) if row.request_body else None)
        if operation := row.headers.get("azure-asyncoperation"):
            name = operation.partition("?")[0].rpartition("/")[2]
            urls[name] = reply.headers.get("Azure-AsyncOperation", "missing")
        seen += [f"#{row.seq} {row.method} {row.path}: {each}" for each in differences(row, reply)]
    assert len(rows) == 40
    assert not seen, "\n" + "\n".join(seen)
