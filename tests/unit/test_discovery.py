"""Manifest making: names for any set of images, and what would block each."""

import re
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageferry.api import rules
from imageferry.api.resource import parse
from imageferry.migration import discovery
from imageferry.migration.discovery import Target
from imageferry.migration.facts import Disk, ManagedImage
from tests.unit.build import NOW

GROUPS_OF = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups"
GALLERY = f"{GROUPS_OF}/g/providers/Microsoft.Compute/galleries/p"
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
DISK = Disk(lun=None, size_gb=30, origin=())


def image_id(name: str, group: str = "legacy") -> str:
    """Return an image's id."""
    return f"{GROUPS_OF}/{group}/providers/Microsoft.Compute/images/{name}"


def image(name: str = "web", group: str = "legacy") -> ManagedImage:
    """Return an image that can be migrated."""
    return ManagedImage(
        id=image_id(name, group),
        location="westeurope",
        provisioning_state="Succeeded",
        os_type="Linux",
        os_state="Generalized",
        generation="V2",
        os_disk=DISK,
    )


# few letters, so that names meet; what looks like a digest of ours, too
NAMES = st.from_regex(r"[aA_][aA._-]{0,3}[aA_]|a{60,80}|(a|aa)-[0-9a-f]{10}", fullmatch=True)
GROUPS = st.from_regex(r"[aAbé][aA._()-]{0,2}[aA]", fullmatch=True)
IDS = st.lists(st.builds(image_id, NAMES, GROUPS), unique_by=str.casefold, max_size=30)
IMAGES = st.lists(st.builds(image, NAMES, GROUPS), unique_by=lambda each: each.id.casefold(), max_size=30)


@given(IDS)
def test_names_are_labels_and_unique(ids: list[str]) -> None:
    """Whatever images are called."""
    names = discovery.names(ids)
    assert all(LABEL.fullmatch(name) for name in names)
    assert len(set(names)) == len(ids)


@given(IDS, st.randoms())
def test_names_do_not_depend_on_the_order(ids: list[str], chance: Random) -> None:
    """The same images get the same names, in whatever order and casing Azure lists them."""
    turned = [each.upper().replace("/SUBSCRIPTIONS/", "/subscriptions/") for each in ids]
    chance.shuffle(turned)
    before = dict(zip([each.casefold() for each in ids], discovery.names(ids), strict=True))
    after = dict(zip([each.casefold() for each in turned], discovery.names(turned), strict=True))
    assert before == after


@given(IMAGES)
def test_every_manifest_is_one_that_the_operator_reads(images: list[ManagedImage]) -> None:
    """Each image has one, and the definition's name is Azure's, its identifier unique."""
    found = discovery.discover(images, Target(gallery=GALLERY, regions=("northeurope",), publisher="contoso"), now=NOW)
    stored = {"namespace": "platform", "uid": "u", "resourceVersion": "1"}
    read = [parse({**each.manifest, "metadata": {**each.manifest["metadata"], **stored}}) for each in found]
    sources = {each.spec.source.managed_image_id.casefold() for each in read}
    assert sources == {each.id.casefold() for each in images}
    assert all(rules.DEFINITION_NAME.check(each.spec.definition.name) for each in read)
    assert len({str(each.spec.definition.identifier) for each in read}) == len(images)


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        pytest.param([image_id("Web_2019.v2")], ["web-2019-v2"], id="the image's name"),
        pytest.param(
            [image_id("web", "prod"), image_id("WEB", "test")], ["web-prod", "web-test"], id="with the group's"
        ),
        pytest.param([image_id("_")], ["image"], id="nothing left"),
        pytest.param([image_id("web-0123456789")], ["web-0123456789-9e819ee31d"], id="like a digest"),
    ],
)
def test_names_say_where_an_image_is_from(ids: list[str], names: list[str]) -> None:
    """A digest is the last resort."""
    assert list(discovery.names(ids)) == names


def test_an_image_that_is_listed_twice_is_one() -> None:
    """Azure may list in several casings what is one image."""
    assert len(discovery.discover([image("web"), image("WEB")], Target(gallery=GALLERY), now=NOW)) == 1


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        pytest.param(image(), [], id="ready"),
        pytest.param(replace(image(), os_state="Specialized"), ["Blocks SourceNotGeneralized"], id="specialized"),
        pytest.param(replace(image(), provisioning_state="Failed"), ["Blocks SourceNotSettled"], id="failed"),
        pytest.param(replace(image(), os_type=""), ["Blocks SourceIncomplete"], id="no OS"),
        pytest.param(replace(image(), os_disk=replace(DISK, size_gb=1023)), [], id="1023"),
        pytest.param(replace(image(), os_disk=replace(DISK, size_gb=1024)), ["Warns SourceLarge"], id="1024"),
        pytest.param(replace(image(), os_disk=replace(DISK, size_gb=2048)), ["Warns SourceLarge"], id="2048"),
        pytest.param(replace(image(), os_disk=replace(DISK, size_gb=2049)), ["Blocks SourceTooLarge"], id="2049"),
        pytest.param(replace(image(), os_disk=replace(DISK, size_gb=None)), ["Warns SizeUnknown"], id="size unknown"),
        pytest.param(
            replace(image(), data_disks=(replace(DISK, lun=1, size_gb=1500), replace(DISK, lun=2, size_gb=4095))),
            ["Blocks SourceTooLarge", "Warns SourceLarge"],
            id="worst first",
        ),
    ],
)
def test_findings(changed: ManagedImage, found: list[str]) -> None:
    """Each with its reason; what blocks keeps the manifest in mode Plan."""
    [made] = discovery.discover([changed], Target(gallery=GALLERY), now=NOW)
    assert [f"{each.severity} {each.reason}" for each in made.findings] == found
    assert made.blocked is any(each.startswith("Blocks") for each in found)
    assert made.manifest["spec"].get("mode") == ("Plan" if made.blocked else None)


def test_an_encrypted_image_wants_a_gallery_in_its_subscription() -> None:
    """With a disk encryption set, a gallery elsewhere blocks; one in the same subscription does not."""
    encrypted = replace(image(), os_disk=replace(DISK, disk_encryption_set="des"))
    elsewhere = GALLERY.replace("000000000001", "000000000002")
    [there] = discovery.discover([encrypted], Target(gallery=elsewhere), now=NOW)
    [here] = discovery.discover([encrypted], Target(gallery=GALLERY), now=NOW)
    assert [each.reason for each in there.findings] == ["EncryptedSourceElsewhere"]
    assert here.findings == ()


def test_comments_stay_comments() -> None:
    """What Azure says cannot break out of its line."""
    [made] = discovery.discover([replace(image(), os_type="Linux\nkind: Secret")], Target(gallery=GALLERY), now=NOW)
    assert list(made.comments) == ["Linux kind: Secret, V2, westeurope, 30 GB"]
