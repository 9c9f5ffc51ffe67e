"""What makes an image this image, and a proof this proof.

Images have no immutable uid in the API: one of the same name can be made anew. The
fingerprint takes what such a one would hardly share. It is written into the version as
a tag when we build it, so that a resource created anew from Git reaches the same verdict
without any status.
"""

import hashlib
import json
from collections.abc import Callable

from imageferry.api.status import Proof
from imageferry.migration.facts import Disk, GalleryVersion, ManagedImage

MIGRATION_TAG = "imageferry-migration"
CLUSTER_TAG = "imageferry-cluster"
FINGERPRINT_TAG = "imageferry-fingerprint"
ADDED_TAG = "imageferry-added"
"""Regions that its migration added to a version of its own after the build, by short name, with commas between."""


def same_id(one: str, other: str) -> bool:
    """Whether two ARM ids name the same resource; ARM changes their casing at will."""
    return one.casefold() == other.casefold()


def fingerprint(image: ManagedImage) -> str:
    """Return the fingerprint of a managed image: `v1:sha256:` and 64 hexadecimal digits."""
    parts = {
        "location": image.location,
        "generation": image.generation,
        "osType": image.os_type,
        "osState": image.os_state,
        "osDisk": _disk(image.os_disk),
        "dataDisks": [_disk(disk) for disk in sorted(image.data_disks, key=lambda disk: disk.lun or 0)],
        "sourceVirtualMachine": (image.source_virtual_machine or "").casefold(),
        "createdAt": image.created_at,
    }
    return _digest(json.dumps(parts, sort_keys=True, separators=(",", ":")))


def proof(source_fingerprint: str, version: GalleryVersion) -> Proof:
    """Return what a verification of this version vouches for."""
    version_id = version.id.casefold()
    return Proof(
        digest=_digest_v1(source_fingerprint, version_id, version.published_date),
        source_fingerprint=source_fingerprint,
        version_id=version_id,
        published_date=version.published_date,
    )


def vouches(digest: str | None, given: Proof) -> bool:
    """Whether a digest is that of this proof, in the format that it names: older formats stay valid."""
    make = _FORMATS.get((digest or "").partition(":")[0])
    return make is not None and digest == make(given.source_fingerprint, given.version_id, given.published_date)


def _disk(disk: Disk) -> list[object]:
    origin = [part.casefold() for part in disk.origin]
    return [disk.lun, disk.size_gb, origin, (disk.disk_encryption_set or "").casefold()]


def _digest_v1(source_fingerprint: str, version_id: str, published_date: str) -> str:
    return _digest(f"{source_fingerprint}\n{version_id}\n{published_date}")


_FORMATS: dict[str, Callable[[str, str, str], str]] = {"v1": _digest_v1}


def _digest(text: str) -> str:
    return f"v1:sha256:{hashlib.sha256(text.encode()).hexdigest()}"
