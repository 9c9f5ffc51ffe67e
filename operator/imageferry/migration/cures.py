"""The az commands with which a person cures what is not repaired without one."""

from collections.abc import Collection, Mapping

from imageferry.migration.facts import GalleryVersion
from imageferry.migration.requests import version_id
from imageferry.migration.steps import Case

PURGES = "2026-03-03"
"""The first api-version whose DELETE can bypass soft deletion."""


def details(failed: Mapping[str, str]) -> str:
    """Return what Azure says of each region."""
    return "; ".join(f"{name}: {text or 'no details'}" for name, text in failed.items())


def delete_version(case: Case) -> str:
    """Return the command that deletes the version for good; a kept one would come back with the old bits."""
    return f"`az rest --method delete --url '{version_id(case.migration)}?api-version={PURGES}&bypassSoftDelete=true'`"


def remove_regions(case: Case, version: GalleryVersion, names: Collection[str]) -> str:
    """Return the command that takes regions out of the version, with the others as they were read."""
    kept = " ".join(_target(region) for region in version.target_regions if region["name"] not in names)
    return (
        f"`az sig image-version update --ids {version_id(case.migration)} "
        f"--allow-replicated-location-deletion true --target-regions {kept}`"
    )


def _target(region: Mapping[str, object]) -> str:
    parts = (region["name"], region.get("regionalReplicaCount"), region.get("storageAccountType"))
    return "=".join(str(part) for part in parts if part is not None)
