"""Managed images become manifests: names, what would block them, and the text of neither.

Names depend on the set of images alone, never on its order, so that a second run writes
the same files. A name serves the resource and its image definition alike, so it is a
Kubernetes label (63 characters, lower case) and unique in the gallery, in any letter case;
the definition's default identifier (namespace, name, "default") is unique with it.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imageferry.api.resource import API_VERSION, KIND, parse
from imageferry.api.status import Severity
from imageferry.migration import preflight
from imageferry.migration.facts import ManagedImage
from imageferry.migration.preflight import Finding

LABEL = 63
DIGEST = 10
_DIGESTED = re.compile(rf"-[0-9a-f]{{{DIGEST}}}$")


@dataclass(frozen=True, slots=True)
class Target:
    """What all manifests of a run share; `publisher` None leaves identifiers to the operator."""

    gallery: str
    namespace: str | None = None
    regions: tuple[str, ...] = ()
    publisher: str | None = None
    delete_sources: bool = False
    plan: bool = False


@dataclass(frozen=True, slots=True)
class Discovered:
    """One image and its manifest."""

    name: str
    image: ManagedImage
    findings: tuple[Finding, ...]
    manifest: Mapping[str, Any]

    @property
    def blocked(self) -> bool:
        """Whether it cannot be migrated as it is."""
        return any(finding.severity is Severity.BLOCKS for finding in self.findings)

    @property
    def group(self) -> str:
        """The image's resource group."""
        return _group(self.image.id).lower()

    @property
    def comments(self) -> Sequence[str]:
        """What the manifest's reader should know, a line each."""
        image = self.image
        sizes = " + ".join("?" if disk.size_gb is None else str(disk.size_gb) for disk in image.disks)
        facts = f"{image.os_type or 'no OS type'}, {image.generation}, {image.location}, {sizes} GB"
        found = (f"{each.severity}: {each.reason}: {each.message}" for each in self.findings)
        return [_one_line(line) for line in (facts, *found)]


def discover(images: Iterable[ManagedImage], target: Target, *, now: datetime) -> Sequence[Discovered]:
    """Return every image with its manifest and what the operator would find of it, in the order of their names."""
    by_id = {image.id.casefold(): image for image in images}
    named = zip(by_id.values(), names(list(by_id)), strict=True)
    found = [_discovered(image, name, target, now=now) for image, name in named]
    return sorted(found, key=lambda each: each.name)


def names(ids: Sequence[str]) -> Sequence[str]:
    """Return a name for each ARM id: the image's; where several share it, with the group's; else with a digest.

    A name that ends like one with a digest always gets a digest of its own, so the three kinds never meet.
    """
    plain = {each: _label(_image(each)) for each in ids}
    taken = Counter(plain.values())
    grouped = {each: _label(f"{_image(each)}-{_group(each)}") for each in ids if taken[plain[each]] > 1}
    shared = Counter(grouped.values())
    return [_first_free(each, plain[each], grouped.get(each), taken=taken, shared=shared) for each in ids]


def _discovered(image: ManagedImage, name: str, target: Target, *, now: datetime) -> Discovered:
    manifest = _manifest(image, name, target, plan=target.plan)
    known = {"namespace": "", **manifest["metadata"], "uid": "", "resourceVersion": "0"}
    found = preflight.examine(parse({**manifest, "metadata": known}), image, now=now)
    if any(finding.severity is Severity.BLOCKS for finding in found):
        manifest = _manifest(image, name, target, plan=True)
    return Discovered(name, image, found, manifest)


def _manifest(image: ManagedImage, name: str, target: Target, *, plan: bool) -> dict[str, Any]:
    """Return the manifest; what cannot be migrated as it is gets mode Plan, which looks and changes nothing."""
    definition: dict[str, Any] = {"name": name}
    if target.publisher:
        definition["identifier"] = {"publisher": target.publisher, "offer": name, "sku": "default"}
    version: dict[str, Any] = {"name": "1.0.0"}
    if regions := [region for region in target.regions if region != image.location]:
        version["targetRegions"] = [{"name": region} for region in dict.fromkeys(regions)]
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name} | ({"namespace": target.namespace} if target.namespace else {}),
        "spec": {
            "source": {"managedImageId": _steady(image.id)},
            "gallery": {"id": target.gallery},
            "definition": definition,
            "version": version,
            "sourceDeletion": {"policy": "Delete" if target.delete_sources else "Retain"},
            **({"mode": "Plan"} if plan else {}),
        },
    }


def _first_free(
    each: str, plain: str, grouped: str | None, *, taken: Mapping[str, int], shared: Mapping[str, int]
) -> str:
    if grouped is None and not _DIGESTED.search(plain):
        return plain
    if grouped and shared[grouped] == 1 and grouped not in taken and not _DIGESTED.search(grouped):
        return grouped
    digest = hashlib.sha256(each.casefold().encode()).hexdigest()[:DIGEST]
    return f"{plain[: LABEL - DIGEST - 1].rstrip('-')}-{digest}"


def _label(text: str) -> str:
    """Return the text as a Kubernetes label: lower-case letters and digits of ASCII, single hyphens between."""
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")[:LABEL].rstrip("-") or "image"


def _steady(arm_id: str) -> str:
    """Return the id with its group in lower case: ARM lists it now in capitals, now as it was made."""
    parts = arm_id.split("/")
    return "/".join([*parts[:4], parts[4].lower(), *parts[5:]])


def _group(arm_id: str) -> str:
    return arm_id.split("/")[4]


def _image(arm_id: str) -> str:
    return arm_id.rpartition("/")[2]


def _one_line(text: str) -> str:
    return " ".join(text.split())
