"""`kubectl imageferry discover` against a simulated Azure, and its manifests against the real API server."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from imageferry.simulator import SUBSCRIPTION, Answer, Fault, SimulatorServer
from tests import manifests
from tests.cli.conftest import COMMAND, SECONDS
from tests.controlplane import Kubectl

GALLERY = manifests.gallery_id()
NASTY = ("web", "WEB", "Web_2019.v2", "web-2019-v2", "_base", "a" * 80, f"{'a' * 79}B", "x.y_z-1", "7", "image")

Discover = Callable[..., Any]


@pytest.fixture
def azure() -> Iterator[SimulatorServer]:
    """Serve an Azure whose lists have short pages."""
    with SimulatorServer(page_size=20) as server:
        server.cloud.put_group("legacy")
        yield server


@pytest.fixture
def environment(azure: SimulatorServer, tmp_path: Path) -> dict[str, str]:
    """Tell of the simulator by the operator's environment variables, and of no cluster."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "IMAGEFERRY_ARM_ENDPOINT": azure.url,
        "IMAGEFERRY_AUTHORITY": azure.url,
        "IMAGEFERRY_AUTHORITY_DISCOVERY": "false",
        "IMAGEFERRY_CA_BUNDLE": str(azure.ca_file),
        "IMAGEFERRY_TENANT_ID": azure.tenant,
        "IMAGEFERRY_CLIENT_ID": "discoverer",
        "IMAGEFERRY_CLIENT_SECRET": "any",
        "IMAGEFERRY_CREDENTIAL": "client-secret",
    }


@pytest.fixture
def discover(environment: dict[str, str]) -> Discover:
    """Give the command."""

    def run(*words: str, gallery: str = GALLERY, **options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(COMMAND), "discover", "--subscription", SUBSCRIPTION, "--gallery", gallery, *words],
            env=environment | options,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    return run


def test_a_thousand_images_become_a_thousand_manifests_that_the_api_server_accepts(
    azure: SimulatorServer, discover: Discover, crd: Path, kubectl: Kubectl, tmp_path: Path
) -> None:
    """Names of one group in several spellings, the same in many groups: all are valid, unique and complete."""
    del crd
    ids = {
        azure.cloud.put_image(
            f"{NASTY[number % 10]}{number if number % 10 == 7 else ''}"[:80],
            group=f"Team.{number // 10}_(old)",
            os_state="Specialized" if number % 50 == 0 else "Generalized",
            size_gb=(30, 1500, 4095)[0 if number % 20 else (number // 20) % 3],
        )
        for number in range(1000)
        if NASTY[number % 10] != "WEB"
    }
    ids |= {azure.cloud.put_image("WEB", group=f"Other-{number}") for number in range(100)}
    assert len({each.casefold() for each in ids}) == 1000
    folder = tmp_path / "manifests"
    done = discover("--output-dir", str(folder), "--region", "northeurope")
    assert done.returncode == 0, done.stderr
    read = [yaml.safe_load(path.read_text()) for path in folder.iterdir()]
    assert len(read) == 1000
    assert {each["spec"]["source"]["managedImageId"].casefold() for each in read} == {each.casefold() for each in ids}
    assert len({each["metadata"]["name"] for each in read}) == 1000
    assert len({each["spec"]["definition"]["name"].casefold() for each in read}) == 1000
    assert azure.ledger.count("images.list") == 50
    created = kubectl("create", "--dry-run=server", f"--filename={folder}", "--output=name").stdout.splitlines()
    assert len(set(created)) == 1000


def test_a_second_run_writes_the_same(azure: SimulatorServer, discover: Discover) -> None:
    """However Azure spells a group in its lists: the text is the same to the byte."""
    for name in ("web", "db"):
        azure.cloud.put_image(name, group="Legacy")
    first = discover()
    assert discover("--resource-group", "LEGACY").stdout == first.stdout
    assert [each["metadata"]["name"] for each in yaml.safe_load_all(first.stdout)] == ["db", "web"]


def test_a_manifest_says_what_is_decided(azure: SimulatorServer, discover: Discover) -> None:
    """Namespace, region, publisher and policy as asked; the image's own region is implied; facts are comments."""
    azure.cloud.put_image("web", group="legacy", os_type="Windows", hyper_v_generation="V1", data_disks=[64])
    done = discover("-n", "platform", "--region", "northeurope", "--region", "westeurope", "--publisher", "contoso")
    assert done.stdout.startswith("# Windows, V1, westeurope, 30 + 64 GB\n")
    assert "1 manifest: 1 ready, 0 with warnings, 0 blocked" in done.stderr
    spec: Any = yaml.safe_load(done.stdout)
    assert spec["metadata"] == {"name": "web", "namespace": "platform"}
    assert spec["spec"] == {
        "source": {"managedImageId": manifests.image_id("web")},
        "gallery": {"id": GALLERY},
        "definition": {"name": "web", "identifier": {"publisher": "contoso", "offer": "web", "sku": "default"}},
        "version": {"name": "1.0.0", "targetRegions": [{"name": "northeurope"}]},
        "sourceDeletion": {"policy": "Retain"},
    }


def test_sources_are_deleted_only_when_asked(azure: SimulatorServer, discover: Discover) -> None:
    """--delete-sources is the one way to policy Delete."""
    azure.cloud.put_image("web", group="legacy")
    assert yaml.safe_load(discover("--delete-sources").stdout)["spec"]["sourceDeletion"] == {"policy": "Delete"}


def test_what_blocks_is_told_and_planned_only(azure: SimulatorServer, discover: Discover) -> None:
    """In a comment of the manifest and in the summary; mode Plan keeps the operator from starting."""
    azure.cloud.put_image("raw", group="legacy", os_state="Specialized")
    azure.cloud.put_image("big", group="legacy", size_gb=1500)
    done = discover()
    big, raw = done.stdout.split("---\n")
    assert "# Blocks: SourceNotGeneralized: spec.source.managedImageId: the image is Specialized;" in raw
    assert "# Warns: SourceLarge: spec.source.managedImageId: the OS disk has 1500 GB;" in big
    assert yaml.safe_load(raw)["spec"]["mode"] == "Plan"
    assert "mode" not in yaml.safe_load(big)["spec"]
    assert "raw   legacy  Blocks SourceNotGeneralized" in done.stderr
    assert "2 manifests: 0 ready, 1 with warnings, 1 blocked (mode Plan)" in done.stderr


def test_one_group_and_json(azure: SimulatorServer, discover: Discover) -> None:
    """--resource-group narrows the list; -o json is one List that kubectl applies."""
    azure.cloud.put_image("web", group="legacy")
    azure.cloud.put_image("db", group="other")
    found = json.loads(discover("--resource-group", "other", "-o", "json").stdout)
    assert (found["kind"], [each["metadata"]["name"] for each in found["items"]]) == ("List", ["db"])


def test_files_that_somebody_edited_are_kept(azure: SimulatorServer, discover: Discover, tmp_path: Path) -> None:
    """A second run changes nothing, unless --overwrite says so."""
    azure.cloud.put_image("web", group="legacy")
    azure.cloud.put_image("app", group="legacy")
    words = ("--output-dir", str(tmp_path / "out"))
    assert discover(*words).returncode == 0
    assert discover(*words).returncode == 0
    edited = tmp_path / "out" / "web.yaml"
    edited.write_text("# mine\n")
    (tmp_path / "out" / "app.yaml").unlink()
    done = discover(*words)
    assert done.returncode == 1
    assert f"{edited} differs from what would be written" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["web.yaml"]
    assert discover(*words, "--overwrite").returncode == 0
    assert "kind: ImageMigration" in edited.read_text()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(Answer(403, "AuthorizationFailed"), "AuthorizationFailed", id="denied"),
        pytest.param(Answer(429, "TooManyRequests"), "takes 60 s until the next try", id="throttled"),
    ],
)
def test_a_list_that_breaks_off_writes_nothing(
    azure: SimulatorServer, discover: Discover, answer: Answer, says: str
) -> None:
    """Half a subscription must not look like all of it."""
    for number in range(30):
        azure.cloud.put_image(f"web-{number}", group="legacy")
    azure.faults.add(Fault("images.list", answer, skip=1))
    done = discover("--timeout", "30")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr


def test_a_throttled_page_is_asked_for_again_when_azure_says(azure: SimulatorServer, discover: Discover) -> None:
    """To the second, that page alone, and with a line that says what it waits for."""
    for number in range(50):
        azure.cloud.put_image(f"web-{number}", group="legacy")
    azure.faults.add(
        Fault("images.list", Answer(429, "TooManyRequests", headers={"Retry-After": "2"}), skip=1, times=1)
    )
    done = discover()
    assert done.returncode == 0, done.stderr
    assert len(list(yaml.safe_load_all(done.stdout))) == 50
    calls = azure.ledger.entries("images.list")
    assert [call.status for call in calls] == [200, 429, 200, 200]
    assert (calls[2].time - calls[1].time).total_seconds() >= 2
    assert done.stderr.startswith("listing managed images: 20; TooManyRequests: goes on in 2 s\n")


def test_waiting_for_azure_has_an_end(azure: SimulatorServer, discover: Discover) -> None:
    """What is waited for in all is bounded, however short each wait is; the error says so."""
    azure.faults.add(Fault("images.list", Answer(429, "TooManyRequests", headers={"Retry-After": "1"})))
    done = discover("--timeout", "2")
    assert (done.returncode, done.stdout) == (1, "")
    assert azure.ledger.count("images.list") == 3
    assert done.stderr.endswith("it takes 1 s until the next try, --timeout leaves 0 s\n")


@pytest.mark.parametrize(
    ("words", "options", "code", "says"),
    [
        pytest.param(["--resource-group", "none"], {}, 1, "ResourceGroupNotFound", id="group"),
        pytest.param(["--region", "West Europe"], {}, 2, "such as westeurope", id="region"),
        pytest.param(["--credential", "guess"], {}, 2, "must be one of workload-identity", id="credential"),
        pytest.param(["-n", "Platform"], {}, 2, "must be a namespace", id="namespace"),
        pytest.param([], {"IMAGEFERRY_ARM_ENDPOINT": "http://a"}, 1, "must start with https://", id="endpoint"),
        pytest.param([], {"IMAGEFERRY_CA_BUNDLE": "/none"}, 1, "No such file", id="ca"),
        pytest.param(["--credential", "azure-cli"], {}, 1, "no token for Azure", id="no-az"),
    ],
)
def test_errors_name_the_field(
    discover: Discover, words: list[str], options: dict[str, str], code: int, says: str
) -> None:
    """No traceback; usage is 2, all else 1."""
    done = discover(*words, **options)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_setting_it_is_the_user_of_az(discover: Discover, environment: dict[str, str]) -> None:
    """A person has no workload identity; the error names the command to log in with."""
    del environment["IMAGEFERRY_CREDENTIAL"]
    done = discover()
    assert done.stderr.count("\n") == 1
    assert "Azure CLI not found on path" in done.stderr
    assert "log in with `az login`" in done.stderr


def test_the_gallery_must_be_one(discover: Discover) -> None:
    """A wrong id is told before a thousand manifests hold it."""
    done = discover(gallery=manifests.image_id("web"))
    assert done.returncode == 2
    assert "must be the id of a gallery" in done.stderr
