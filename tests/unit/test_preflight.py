"""What is found of an image before the first write, with field, finding and cure."""

from dataclasses import replace
from typing import Any

import pytest

from imageferry.migration import preflight
from imageferry.migration.facts import Disk, ManagedImage
from tests.unit import build
from tests.unit.build import NOW, Json

SET = f"{build.GROUPS}/keys/providers/Microsoft.Compute/diskEncryptionSets/a"
OS: Json = {"osDiskImage": {"diskEncryptionSetId": SET}}
ELSEWHERE = build.GALLERY_ID.replace("000000000001", "000000000002")
SHALLOW: Json = {"replicationMode": "Shallow"}
RETAIN: Json = {"policy": "Retain"}


def data(*luns: int) -> Json:
    """Return the encryption of the OS disk and of data disks."""
    return OS | {"dataDiskImages": [{"lun": lun, "diskEncryptionSetId": SET} for lun in luns]}


def regions(**encryption: Json | None) -> Json:
    """Return a spec with these regions."""
    return {
        "version": {"targetRegions": [{"name": n, **({"encryption": e} if e else {})} for n, e in encryption.items()]}
    }


def sized(os_disk: int | None, *data_disks: int) -> ManagedImage:
    """Return an image with disks of these sizes."""
    disks = tuple(Disk(lun, size, ()) for lun, size in enumerate(data_disks))
    return build.image(os_disk=Disk(None, os_disk, ()), data_disks=disks)


def encrypted() -> ManagedImage:
    """Return an image whose data disk is encrypted."""
    (disk,) = build.image().data_disks
    return build.image(data_disks=(replace(disk, disk_encryption_set=SET),))


def found(spec: Json, image: ManagedImage) -> list[tuple[str, str]]:
    """Return severities and reasons."""
    return [(each.severity.value, each.reason) for each in preflight.examine(build.migration(spec), image, now=NOW)]


@pytest.mark.parametrize(
    ("spec", "image", "expected"),
    [
        pytest.param({}, build.image(), [], id="fits"),
        pytest.param({}, build.image(os_state="Specialized"), [("Blocks", "SourceNotGeneralized")], id="specialized"),
        pytest.param({}, sized(1023), [], id="1023-gb"),
        pytest.param({}, sized(1024), [("Warns", "SourceLarge")], id="1024-gb"),
        pytest.param({}, sized(30, 2048), [("Warns", "SourceLarge")], id="data-disk-2048-gb"),
        pytest.param({}, sized(2049), [("Blocks", "SourceTooLarge")], id="2049-gb"),
        pytest.param({}, sized(30, 64, 2049), [("Blocks", "SourceTooLarge")], id="data-disk-2049-gb"),
        pytest.param({}, sized(None), [("Warns", "SizeUnknown")], id="size-unknown"),
        pytest.param(
            {}, sized(2049, 1500), [("Blocks", "SourceTooLarge"), ("Warns", "SourceLarge")], id="blocks-come-first"
        ),
        pytest.param({"version": SHALLOW, "sourceDeletion": RETAIN}, sized(4095), [], id="shallow-takes-any-size"),
        pytest.param(
            {"definition": {"osType": "Linux"}},
            build.image(),
            [("Blocks", "DefinitionContradictsSource")],
            id="other-os",
        ),
        pytest.param(
            {"definition": {"securityType": "TrustedLaunchSupported"}},
            build.image(generation="V1"),
            [("Blocks", "DefinitionContradictsSource")],
            id="secure-v1",
        ),
        pytest.param(
            {"version": {"endOfLifeDate": "2026-05-01"}}, build.image(), [("Blocks", "EndOfLifePassed")], id="past"
        ),
        pytest.param({"version": {"endOfLifeDate": "2026-05-02"}}, build.image(), [], id="tomorrow"),
        pytest.param({}, encrypted(), [], id="encrypted-at-home"),
        pytest.param(
            {"gallery": {"id": ELSEWHERE}},
            encrypted(),
            [("Blocks", "EncryptedSourceElsewhere")],
            id="encrypted-elsewhere",
        ),
        pytest.param(
            {"gallery": {"id": ELSEWHERE}},
            build.image(),
            [("Notes", "SourceInAnotherSubscription")],
            id="plain-elsewhere",
        ),
        pytest.param(
            regions(westeurope=data(0, 0)), build.image(), [("Blocks", "EncryptionIncomplete")], id="lun-twice"
        ),
        pytest.param(
            regions(westeurope={**data(0), "osDiskImage": {"diskEncryptionSetId": SET.replace("0001/", "0002/")}}),
            build.image(),
            [("Blocks", "EncryptionSetElsewhere")],
            id="key-of-another-subscription",
        ),
        pytest.param(
            {"version": SHALLOW | {"replicaCount": 2}, "sourceDeletion": RETAIN},
            build.image(),
            [("Blocks", "ShallowNotAlone")],
            id="shallow-copies",
        ),
        pytest.param(
            {"version": SHALLOW | {"targetRegions": [{"name": "uksouth"}]}, "sourceDeletion": RETAIN},
            build.image(),
            [("Blocks", "ShallowNotAlone")],
            id="shallow-elsewhere",
        ),
        pytest.param({"version": {"replicaCount": 50}}, build.image(), [], id="50-copies"),
        pytest.param({"version": {"replicaCount": 51}}, build.image(), [("Warns", "ManyReplicas")], id="51-copies"),
        pytest.param(regions(westeurope=data(0)), build.image(), [], id="every-disk"),
        pytest.param(regions(westeurope=OS), sized(30), [], id="no-data-disk"),
        pytest.param(regions(westeurope=OS), build.image(), [("Blocks", "EncryptionIncomplete")], id="a-lun-lacks"),
        pytest.param(
            regions(westeurope=data(0, 1)), build.image(), [("Blocks", "EncryptionIncomplete")], id="a-lun-too-many"
        ),
        pytest.param(
            regions(westeurope={"dataDiskImages": data(0)["dataDiskImages"]}),
            build.image(),
            [("Blocks", "EncryptionIncomplete")],
            id="os-disk-lacks",
        ),
        pytest.param(
            regions(westeurope=data(0), uksouth=None),
            build.image(),
            [("Blocks", "EncryptionIncomplete")],
            id="a-region-lacks",
        ),
        pytest.param(
            regions(uksouth=data(0)), build.image(), [("Blocks", "EncryptionIncomplete")], id="the-images-region-lacks"
        ),
        pytest.param(
            {**regions(westeurope=data(0)), "sourceDeletion": RETAIN}
            | {"version": regions(westeurope=data(0))["version"] | SHALLOW},
            build.image(),
            [("Blocks", "EncryptionOfShallow")],
            id="shallow-and-encrypted",
        ),
    ],
)
def test_what_is_found(spec: Json, image: ManagedImage, expected: list[tuple[str, str]]) -> None:
    """Azure's limits, and what would surprise."""
    assert found(spec, image) == expected


@pytest.mark.parametrize(
    ("spec", "image", "words"),
    [
        (
            {},
            sized(30, 64, 2049),
            ("spec.source.managedImageId", "the data disk at LUN 1 has 2049 GB", "2048 GB", "smaller"),
        ),
        (
            regions(uksouth=data(0)),
            build.image(),
            ("spec.version.targetRegions", "westeurope needs encryption", "LUN of the image (0)", "or take it out"),
        ),
        (
            {"gallery": {"id": ELSEWHERE}},
            encrypted(),
            ("spec.gallery.id", "the gallery lies in 00000000-0000-0000-0000-000000000002", "use a gallery in"),
        ),
        (
            {"version": {"endOfLifeDate": "2020-01-01"}},
            build.image(),
            ("spec.version.endOfLifeDate: 2020-01-01", "later one"),
        ),
    ],
)
def test_a_finding_names_field_finding_and_cure(spec: Json, image: ManagedImage, words: tuple[str, ...]) -> None:
    """So nobody has to look anything up."""
    (finding,) = preflight.examine(build.migration(spec), image, now=NOW)

    assert [word for word in words if word not in finding.message] == []
    assert finding.status.message == finding.message


@pytest.mark.parametrize(
    ("date", "passed"),
    [
        (None, False),
        ("2026-05-01T12:00:01Z", False),
        ("2026-05-01T12:00:00Z", True),
        ("2026-05-01T13:59:00+02:00", True),
    ],
)
def test_an_end_of_life_has_to_lie_ahead(date: str | None, *, passed: bool) -> None:
    """To the second, whatever its offset."""
    finding: Any = preflight.end_of_life("definition", date, now=NOW)

    assert bool(finding) is passed
    assert not passed or finding.message.startswith(f"spec.definition.endOfLifeDate: {date}")
