"""What makes an image this image, and a proof this proof."""

from dataclasses import replace

import pytest

from imageferry.migration import identity
from imageferry.migration.facts import Disk, GalleryVersion, ManagedImage
from tests.unit import build

TWO_DISKS = (Disk(0, 64, ("a",)), Disk(1, 128, ("b",), "set"))
IMAGE = build.image(data_disks=TWO_DISKS)


def _upper(image: ManagedImage) -> ManagedImage:
    def disk(each: Disk) -> Disk:
        key = each.disk_encryption_set
        return replace(each, origin=tuple(o.upper() for o in each.origin), disk_encryption_set=key and key.upper())

    return replace(
        image,
        id=image.id.upper(),
        os_disk=disk(image.os_disk),
        data_disks=tuple(disk(each) for each in image.data_disks),
        source_virtual_machine=(image.source_virtual_machine or "").upper(),
    )


@pytest.mark.parametrize(
    "same",
    [
        pytest.param(_upper(IMAGE), id="id-casing"),
        pytest.param(replace(IMAGE, data_disks=TWO_DISKS[::-1]), id="disk-order"),
        pytest.param(replace(IMAGE, provisioning_state="Updating"), id="provisioning-state"),
    ],
)
def test_a_fingerprint_is_the_same_for_the_same_image(same: ManagedImage) -> None:
    """What ARM changes at will does not change it."""
    assert identity.fingerprint(same) == identity.fingerprint(IMAGE)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(IMAGE, location="uksouth"), id="location"),
        pytest.param(replace(IMAGE, generation="V1"), id="generation"),
        pytest.param(replace(IMAGE, os_type="Linux"), id="os-type"),
        pytest.param(replace(IMAGE, os_state="Specialized"), id="os-state"),
        pytest.param(replace(IMAGE, source_virtual_machine="vm"), id="captured-machine"),
        pytest.param(replace(IMAGE, created_at="2026-04-02T00:00:00Z"), id="created-at"),
        pytest.param(replace(IMAGE, os_disk=replace(IMAGE.os_disk, size_gb=128)), id="os-disk-size"),
        pytest.param(replace(IMAGE, os_disk=replace(IMAGE.os_disk, origin=("x",))), id="os-disk-origin"),
        pytest.param(replace(IMAGE, data_disks=TWO_DISKS[:1]), id="disk-gone"),
        pytest.param(replace(IMAGE, data_disks=(TWO_DISKS[0], replace(TWO_DISKS[1], lun=2))), id="lun"),
        pytest.param(replace(IMAGE, data_disks=(TWO_DISKS[0], replace(TWO_DISKS[1], size_gb=1))), id="disk-size"),
        pytest.param(replace(IMAGE, data_disks=(TWO_DISKS[0], replace(TWO_DISKS[1], origin=()))), id="disk-origin"),
        pytest.param(
            replace(IMAGE, data_disks=(TWO_DISKS[0], replace(TWO_DISKS[1], disk_encryption_set=None))), id="encryption"
        ),
    ],
)
def test_a_fingerprint_differs_for_another_image(other: ManagedImage) -> None:
    """Each of the things that an image made anew would not share."""
    assert identity.fingerprint(other) != identity.fingerprint(IMAGE)


def test_the_form_of_fingerprints_is_fixed() -> None:
    """They are stored as tags in Azure: another form or content would orphan every version that is there."""
    assert identity.fingerprint(build.image()) == GOLDEN


def test_the_first_form_of_digests_stays_valid() -> None:
    """Somebody approved one in Git, perhaps years ago: a later form does not void it."""
    given = identity.proof("f", build.version())

    assert identity.vouches("v1:sha256:b238d1516d30559c94092cdd889e702c01df63481b76e9e7d1b13ecee4334d58", given)


@pytest.mark.parametrize("digest", [None, "", "v1", "v9:sha256:0", f"v1:sha256:{'0' * 64}"])
def test_no_other_digest_vouches(digest: str | None) -> None:
    """Nor one of a form that nobody knows yet."""
    assert not identity.vouches(digest, identity.proof("f", build.version()))


GOLDEN = "v1:sha256:cedf69900a852c837ffa261efef650a57f43d6dccb87eab22094b58a67e7695b"


def test_a_proof_names_what_it_vouches_for() -> None:
    """Fingerprint, version and date stand beside the digest."""
    proof = identity.proof("f", build.version())

    assert (proof.source_fingerprint, proof.version_id) == ("f", build.VERSION_ID.casefold())
    assert proof.published_date == build.PUBLISHED


@pytest.mark.parametrize(
    ("fingerprint", "version"),
    [
        pytest.param("g", build.version(), id="fingerprint"),
        pytest.param("f", build.version(id=build.VERSION_ID + "1"), id="version"),
        pytest.param("f", build.version(published_date=build.REPUBLISHED), id="published-date"),
    ],
)
def test_a_proof_digest_depends_on_each_part(fingerprint: str, version: GalleryVersion) -> None:
    """Another image, version or build is another proof."""
    assert identity.proof(fingerprint, version).digest != identity.proof("f", build.version()).digest


def test_a_proof_digest_does_not_depend_on_the_casing_of_ids() -> None:
    """A GET in another casing is no new proof."""
    shouted = build.version(id=build.VERSION_ID.upper())

    assert identity.proof("f", shouted).digest == identity.proof("f", build.version()).digest


@pytest.mark.parametrize("regions", [("westeurope",), ("westeurope", "uksouth")])
def test_a_proof_digest_does_not_depend_on_the_regions(regions: tuple[str, ...]) -> None:
    """More regions for the same build leave what was verified."""
    assert identity.proof("f", build.version(*regions)).digest == identity.proof("f", build.version()).digest
