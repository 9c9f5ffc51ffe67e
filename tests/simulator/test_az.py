"""The az CLI, unchanged, against the simulator (fact sheet, section 15: [cli]).

az insists on TLS, asks for subscriptions, regions and the group's location, mixes api-versions, and feeds back what it
was answered; what it can drive, other tools can. The tests
of this file are one story: each goes on from the one before.
"""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest

from imageferry.simulator import SUBSCRIPTION, SimulatorServer
from imageferry.simulator.metadata import IDENTITY_HEADER, SYSTEM_ASSIGNED
from tests.simulator.az import Az, AzError, installed

pytestmark = pytest.mark.az
IMAGE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/legacy/providers/Microsoft.Compute/images/web"
GALLERY = ("-g", "images", "--gallery-name", "prod")
DEFINITION = (*GALLERY, "--gallery-image-definition", "web")
VERSION = (*DEFINITION, "--gallery-image-version", "1.0.0")


@pytest.fixture(scope="module")
def cloud() -> Iterator[SimulatorServer]:
    """Serve a cloud in which every operation ends at once."""
    with SimulatorServer() as server:
        names = [each.name for each in fields(server.cloud.durations) if each.type is float]
        at_once = {name: 0.0 for name in names if name != "operation_kept"}
        server.cloud.durations = replace(server.cloud.durations, **at_once)  # type: ignore[arg-type]
        server.cloud.put_image("web", group="legacy", tags={"owner": "ops"})
        server.cloud.put_group("images")
        yield server


@pytest.fixture(scope="module")
def az(cloud: SimulatorServer, tmp_path_factory: pytest.TempPathFactory) -> Az:
    """Give an az that knows the simulator as a cloud and has logged in as a service principal."""
    made = Az(installed(), tmp_path_factory.mktemp("az"), cloud.ca_file)
    made("cloud", "register", "--name", "simulator", "--endpoint-resource-manager", cloud.url)
    made("cloud", "set", "--name", "simulator")
    (account,) = made("login", "--service-principal", "-u", "operator", "-p", "secret", "--tenant", cloud.tenant)
    assert (account["id"], account["tenantId"]) == (SUBSCRIPTION, cloud.tenant)
    return made


@pytest.mark.parametrize("form", ["app service", "instance metadata"])
def test_managed_identity(cloud: SimulatorServer, az: Az, tmp_path: Path, form: str) -> None:
    """`az login --identity` takes a token in both forms, and the calls are those of that identity."""
    forms = {
        "app service": {"IDENTITY_ENDPOINT": f"{cloud.url}/msi/token", "IDENTITY_HEADER": IDENTITY_HEADER},
        "instance metadata": {"AZURE_POD_IDENTITY_AUTHORITY_HOST": cloud.url},
    }
    own = replace(az, home=tmp_path, environment=forms[form])
    own("cloud", "register", "--name", "simulator", "--endpoint-resource-manager", cloud.url)
    own("cloud", "set", "--name", "simulator")
    mark = cloud.ledger.mark()
    own("login", "--identity")
    assert own("image", "show", "-g", "legacy", "-n", "web")["hyperVGeneration"] == "V2"
    assert {entry.identity for entry in cloud.ledger.entries(since=mark)} == {SYSTEM_ASSIGNED}


def test_a_gallery(cloud: SimulatorServer, az: Az) -> None:
    """Create in a region by display name, show, list, update, delete; the location of a group is the default."""
    assert az("sig", "create", *GALLERY, "-l", "West Europe")["location"] == "westeurope"
    assert az("sig", "create", "-g", "images", "--gallery-name", "other")["location"] == "westeurope"
    assert az("sig", "show", *GALLERY)["provisioningState"] == "Succeeded"
    assert az("sig", "update", *GALLERY, "--set", "tags.owner=ops")["tags"] == {"owner": "ops"}
    assert [each["name"] for each in az("sig", "list", "-g", "images")] == ["other", "prod"]
    az("sig", "delete", "-g", "images", "--gallery-name", "other")
    assert [each["name"] for each in az("sig", "list")] == ["prod"]
    assert len(cloud.cloud.ids("galleries")) == 1


def test_a_definition(az: Az) -> None:
    """Create, show, list and update."""
    names = ("--publisher", "contoso", "--offer", "web", "--sku", "2019", "--os-type", "linux")
    az("sig", "image-definition", "create", *DEFINITION, *names, "--hyper-v-generation", "V2")
    shown = az("sig", "image-definition", "show", *DEFINITION)
    assert (shown["hyperVGeneration"], shown["architecture"], shown["osType"]) == ("V2", "x64", "Linux")
    updated = az("sig", "image-definition", "update", *DEFINITION, "--set", "description=web servers")
    assert updated["description"] == "web servers"
    assert [each["name"] for each in az("sig", "image-definition", "list", *GALLERY)] == ["web"]
    with pytest.raises(AzError, match="PropertyChangeNotAllowed"):
        az("sig", "image-definition", "update", *DEFINITION, "--set", "osState=Specialized")


def test_a_version(cloud: SimulatorServer, az: Az) -> None:
    """Create with `r=n=sku` regions and --no-wait, wait, show with the expand, update and list."""
    regions = ("westeurope=1=standard_zrs", "North Europe=2")
    az(
        *["sig", "image-version", "create", "--no-wait"],
        *VERSION,
        "--managed-image",
        IMAGE,
        "--target-regions",
        *regions,
    )
    az("sig", "image-version", "wait", *VERSION, "--created", "--interval", "1", "--timeout", "30")
    shown = az("sig", "image-version", "show", *VERSION, "--expand", "ReplicationStatus")
    targets = shown["publishingProfile"]["targetRegions"]
    assert [(each["name"], each["regionalReplicaCount"], each["storageAccountType"]) for each in targets] == [
        ("West Europe", 1, "Standard_ZRS"),
        ("North Europe", 2, "Standard_LRS"),
    ]
    assert shown["replicationStatus"]["aggregatedState"] == "Completed"
    excluded = az("sig", "image-version", "update", *VERSION, "--set", "publishingProfile.excludeFromLatest=true")
    assert excluded["publishingProfile"]["excludeFromLatest"] is True
    added = ("--add", "publishingProfile.targetRegions", "name=UK South")
    assert len(az("sig", "image-version", "update", *VERSION, *added)["publishingProfile"]["targetRegions"]) == 3
    assert [each["name"] for each in az("sig", "image-version", "list", *DEFINITION)] == ["1.0.0"]
    assert cloud.ledger.count("galleryImageVersions.createOrUpdate", effect="created") == 1


def test_a_managed_image(cloud: SimulatorServer, az: Az) -> None:
    """List, show and tag; a lock that az makes keeps az from deleting, until az takes it away."""
    assert [each["name"] for each in az("image", "list", "-g", "legacy")] == ["web"]
    assert [each["name"] for each in az("image", "list")] == ["web"]
    assert az("image", "update", "-g", "legacy", "-n", "web", "--set", "tags.migrated=yes")["tags"] == {
        "owner": "ops",
        "migrated": "yes",
    }
    az("lock", "create", "--name", "keep", "-g", "legacy", "--lock-type", "CanNotDelete")
    assert [each["name"] for each in az("lock", "list", "-g", "legacy")] == ["keep"]
    with pytest.raises(AzError, match="ScopeLocked"):
        az("image", "delete", "-g", "legacy", "-n", "web")
    az("lock", "delete", "--name", "keep", "-g", "legacy")
    az("image", "delete", "-g", "legacy", "-n", "web")
    assert cloud.cloud.ids("images") == []


def test_all_is_deleted_from_the_inside_out(cloud: SimulatorServer, az: Az) -> None:
    """A definition with a version is refused; then version, definition and gallery go."""
    with pytest.raises(AzError, match="CannotDeleteResource"):
        az("sig", "image-definition", "delete", *DEFINITION)
    az("sig", "image-version", "delete", *VERSION)
    az("sig", "image-definition", "delete", *DEFINITION)
    az("sig", "delete", *GALLERY)
    assert cloud.cloud.ids() == []
