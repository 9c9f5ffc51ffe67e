"""The commands of docs/undo.md, as they stand there, run by a shell with the az CLI against the simulator."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from imageferry.simulator import SUBSCRIPTION, SimulatorServer
from tests.simulator.az import Az, installed

pytestmark = pytest.mark.az
PAGE = Path(__file__).parents[2] / "docs" / "undo.md"
GROUPS = f"/subscriptions/{SUBSCRIPTION}/resourceGroups"
IMAGE = f"{GROUPS}/legacy/providers/Microsoft.Compute/images/web"
DISKS = f"{GROUPS}/legacy/providers/Microsoft.Compute/disks"
VERSION = f"{GROUPS}/images/providers/Microsoft.Compute/galleries/prod/images/web/versions/1.0.0"
SECONDS = 280


@pytest.fixture
def cloud() -> Iterator[SimulatorServer]:
    """Serve a cloud with an image, in which every operation ends at once."""
    with SimulatorServer() as server:
        names = [each.name for each in fields(server.cloud.durations) if each.type is float]
        at_once = {name: 0.0 for name in names if name != "operation_kept"}
        server.cloud.durations = replace(server.cloud.durations, **at_once)  # type: ignore[arg-type]
        server.cloud.put_image("web", group="legacy", data_disks=(64,))
        yield server


def _commands() -> str:
    found = re.search(r"<!-- run by \S+test_undo\.py -->\n```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1]


def _migrate(cloud: SimulatorServer, az: Az) -> None:
    """Bring the image into the gallery, and delete it."""
    cloud.cloud.put_group("images")
    gallery = ("-g", "images", "--gallery-name", "prod")
    definition = (*gallery, "--gallery-image-definition", "web")
    az("sig", "create", *gallery, "-l", "westeurope")
    names = ("--publisher", "contoso", "--offer", "web", "--sku", "2019", "--os-type", "linux")
    az("sig", "image-definition", "create", *definition, *names, "--hyper-v-generation", "V2")
    az("sig", "image-version", "create", *definition, "--gallery-image-version", "1.0.0", "--managed-image", IMAGE)
    az("image", "delete", "-g", "legacy", "-n", "web")


@pytest.mark.timeout(420)
def test_an_image_comes_back_from_its_version(cloud: SimulatorServer, tmp_path: Path) -> None:
    """The disks are made from the version by LUN, the image from the disks; at the end the image alone is left."""
    az = Az(installed(), tmp_path / "az", cloud.ca_file)
    az("cloud", "register", "--name", "simulator", "--endpoint-resource-manager", cloud.url)
    az("cloud", "set", "--name", "simulator")
    az("login", "--service-principal", "-u", "operator", "-p", "secret", "--tenant", cloud.tenant)
    _migrate(cloud, az)
    assert cloud.cloud.get(IMAGE) is None
    mark = cloud.ledger.mark()

    said = _run(_commands(), az, tmp_path)

    made = {
        entry.resource_id.rpartition("/")[2]: entry.body or {}
        for entry in cloud.ledger.mutations(since=mark)
        if entry.method == "PUT"
    }
    assert [_reference(made["web-os"]), _reference(made["web-data0"])] == [
        {"id": VERSION},
        {"id": VERSION, "lun": 0},
    ]
    image = cloud.cloud.get(IMAGE)
    assert image
    profile = image["properties"]["storageProfile"]
    assert image["properties"]["hyperVGeneration"] == "V2"
    assert profile["osDisk"]["managedDisk"]["id"].casefold() == f"{DISKS}/web-os".casefold()
    assert [(each["lun"], each["managedDisk"]["id"].casefold()) for each in profile["dataDisks"]] == [
        (0, f"{DISKS}/web-data0".casefold())
    ]
    assert cloud.cloud.ids("disks") == []
    assert '"state": "Succeeded"' in said


def _reference(body: dict[str, Any]) -> dict[str, Any]:
    reference: dict[str, Any] = body["properties"]["creationData"]["galleryImageReference"]
    return {name: value for name, value in reference.items() if value is not None}


def _run(commands: str, az: Az, folder: Path) -> str:
    """Run commands as they are by a shell that finds our az under that name; gives what they print."""
    tools = folder / "bin"
    tools.mkdir()
    (tools / "az").write_text(f'#!/bin/sh\nexec {az.python} -Im azure.cli "$@"\n')
    (tools / "az").chmod(0o700)
    shell = shutil.which("bash")
    assert shell
    environment = {**az.settings, "PATH": f"{tools}:{os.environ['PATH']}"}
    ran = subprocess.run(
        [shell, "-euo", "pipefail", "-c", commands],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
