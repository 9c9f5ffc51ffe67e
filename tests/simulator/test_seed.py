"""Seed files and the command that serves them."""

import json
import signal
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from imageferry.simulator import SUBSCRIPTION, Answer, Seed, SeedError, SimulatorServer
from tests.simulator.conftest import COMPUTE, GALLERY, GROUP, VERSION, Arm

SEED = f"""
subscriptions: [11111111-1111-1111-1111-111111111111]
groups: [{{name: images, location: northeurope, tags: {{owner: ops}}}}]
images:
  - {{name: web, group: legacy, osType: Windows, hyperVGeneration: V1, sizeGB: 127, dataDisks: [64, 32], tags: {{a: b}},
      createdAt: "2021-05-01T10:00:00Z", plan: {{name: p, publisher: q, product: r}}}}
galleries: [{{name: prod, group: images}}]
definitions: [{{name: web, group: images, gallery: prod, osType: Windows, hyperVGeneration: V1, identifier: [c, w, s]}}]
versions: [{{name: 1.0.0, group: images, gallery: prod, definition: web, regions: [westeurope, northeurope]}}]
resources:
  - id: /subscriptions/{SUBSCRIPTION}/resourceGroups/legacy/providers/Microsoft.Compute/virtualMachineScaleSets/fleet
    properties: {{virtualMachineProfile: {{}}}}
durations: {{versionCreate: 30, regions: {{northeurope: 600}}}}
rules: {{sourceBusyUntilReplicated: true}}
faults: [{{operation: images.delete, times: 1, does: {{kind: answer, status: 409, code: ScopeLocked}}}}]
pageSize: 2
"""


@pytest.fixture
def seed_file(tmp_path: Path) -> Path:
    """Write the seed above."""
    path = tmp_path / "seed.yaml"
    path.write_text(SEED, encoding="utf-8")
    return path


async def test_a_seed_governs(tmp_path: Path) -> None:
    """Roles from a file beside the seed file, locks, policies, soft delete and a provider that is not registered."""
    role = {"Name": "reader", "Actions": ["Microsoft.Compute/*/read"], "NotActions": []}
    (tmp_path / "role.json").write_text(json.dumps(role), encoding="utf-8")
    seed = tmp_path / "seed.yaml"
    seed.write_text(
        f"""
roleAssignments: [{{identity: operator, role: role.json}}]
locks: [{{name: keep, scope: /subscriptions/{SUBSCRIPTION}/resourceGroups/images, level: ReadOnly}}]
policies: [{{name: regions, allowedLocations: [West Europe]}}]
galleries: [{{name: prod, group: images, softDelete: true}}]
unregistered: [Microsoft.Network]
""",
        encoding="utf-8",
    )
    with SimulatorServer(seed) as azure:
        context = ssl.create_default_context(cafile=str(azure.ca_file))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
            arm = Arm(session, azure.url, azure.tokens.issue(azure.tenant, "operator")[0])
            shown = (await arm("GET", GALLERY)).body
            assert shown["properties"]["softDeletePolicy"] == {"isSoftDeleteEnabled": True}
            assert (await arm("DELETE", GALLERY)).code == "AuthorizationFailed"
            azure.cloud.assign("operator", {"Actions": ["*"]}, scope="/")
            assert (await arm("DELETE", GALLERY)).code == "ScopeLocked"
            assert (await arm("PUT", GALLERY, {"location": "uksouth"})).code == "RequestDisallowedByPolicy"
            network = f"{GROUP}/images/providers/Microsoft.Network/virtualNetworks/net"
            assert (await arm("GET", network)).code == "MissingSubscriptionRegistration"


def test_a_seed_fills_the_cloud(seed_file: Path) -> None:
    """Short forms become what ARM would answer."""
    azure = SimulatorServer(seed_file)
    image: Any = azure.cloud.get(f"{GROUP}/legacy/{COMPUTE}/images/web")
    assert [disk["diskSizeGB"] for disk in image["properties"]["storageProfile"]["dataDisks"]] == [64, 32]
    assert image["systemData"] == {"createdAt": "2021-05-01T10:00:00+00:00"}
    machine: Any = azure.cloud.get(image["properties"]["sourceVirtualMachine"]["id"])
    assert machine["plan"] == {"name": "p", "publisher": "q", "product": "r"}
    version: Any = azure.cloud.get(VERSION)
    assert version["properties"]["replicationStatus"]["aggregatedState"] == "Completed"
    assert azure.cloud.durations.region_delay("northeurope", home=False, order=1) == 600
    assert azure.cloud.rules.source_busy_until_replicated
    assert azure.faults.items()[0][1].does == Answer(409, "ScopeLocked")
    azure.stop()


async def test_other_compute_resources_are_listed(azure: SimulatorServer, arm: Arm) -> None:
    """Scale sets and machines that a seed puts in can be read, changed and deleted, but not POSTed."""
    fleet = f"{GROUP}/legacy/{COMPUTE}/virtualMachineScaleSets/fleet"
    azure.cloud.put(fleet, {"location": "westeurope", "properties": {"virtualMachineProfile": {}}})
    listed = await arm("GET", f"/subscriptions/{SUBSCRIPTION}/{COMPUTE}/virtualMachineScaleSets")
    assert [item["id"] for item in listed.body["value"]] == [fleet]
    assert (await arm("POST", fleet, {})).status == 405
    assert (await arm("DELETE", fleet)).status == 202


@pytest.mark.parametrize(
    ("seed", "names"),
    [
        pytest.param({"image": []}, "image: ", id="unknown-section"),
        pytest.param({"images": [{"name": "a"}]}, "images.0.group: Field required", id="missing"),
        pytest.param({"images": [{"name": "a", "group": "g", "sizeGB": 0}]}, "images.0.sizeGB", id="range"),
        pytest.param({"images": [{"name": "a", "group": "g", "osType": "BeOS"}]}, "images.0.osType", id="enum"),
        pytest.param(
            {"images": [{"name": "a", "group": "g", "location": "atlantis"}]},
            "images.0.location: 'atlantis' is no Azure region",
            id="region",
        ),
        pytest.param({"resources": [{"id": "/x"}]}, "resources.0.id: not the id", id="id"),
        pytest.param({"durations": {"build": 3}}, "durations.build: no such setting; there are", id="duration"),
        pytest.param({"durations": {"versionCreate": "long"}}, "durations.versionCreate", id="duration-type"),
        pytest.param({"faults": [{"does": {"kind": "x"}}]}, "faults.0.does.kind: 'x' is none of", id="fault"),
        pytest.param({"pageSize": 0}, "pageSize", id="page-size"),
        pytest.param({"locks": [{"name": "a", "scope": "/", "level": "Soft"}]}, "locks.0.level", id="lock"),
        pytest.param({"roleAssignments": [{"identity": "a", "role": "no.json"}]}, "cannot be read", id="role-file"),
    ],
)
def test_a_mistake_in_a_seed_is_named(seed: dict[str, Any], names: str) -> None:
    """Nothing starts, and the message names the field."""
    with pytest.raises(SeedError) as refused:
        Seed.read(seed)
    assert names in str(refused.value)


@pytest.mark.parametrize("content", ["a: [", "- just\n- a list\n"])
def test_a_file_that_is_no_seed(tmp_path: Path, content: str) -> None:
    """The message names the file."""
    path = tmp_path / "seed.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SeedError, match=r"seed\.yaml"):
        Seed.read(path)


def test_the_command_serves_until_it_is_told_to_stop(seed_file: Path, tmp_path: Path) -> None:
    """One ready line with URL and CA; SIGTERM ends it with 0."""
    command = [sys.executable, "-m", "imageferry.simulator", "--port", "0", "--seed", str(seed_file)]
    with subprocess.Popen([*command, "--directory", str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = process.stdout.readline().split()
        url, ca = ready[2], ready[3].removeprefix("ca=")
        assert ready[:2] == ["simulator", "ready:"]
        context = ssl.create_default_context(cafile=ca)
        with urllib.request.urlopen(f"{url}/simulator/dump", context=context) as answer:  # noqa: S310 -- our own server
            assert len(json.load(answer)["resources"]) == 6
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == ""
        assert process.wait(10) == 0


def test_the_command_explains_a_bad_seed(tmp_path: Path) -> None:
    """Exit 2 and the field's name."""
    path = tmp_path / "seed.yaml"
    path.write_text("images: [{name: a}]", encoding="utf-8")
    command = [sys.executable, "-m", "imageferry.simulator", "--seed", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 2
    assert "images.0.group" in ended.stderr
