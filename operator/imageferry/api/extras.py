"""Parts of a gallery, a definition and a version that may be left out; values are ARM's.

They stand apart from `spec` because few users meet them, and so that both files can be
read in one go.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from imageferry.api import rules
from imageferry.api.base import ApiModel

TAGS_MOST = 40
"""Azure takes 50 tags a resource; a few are ours and some are left to others."""


def read_date(value: str) -> datetime:
    """Return the time that a date or time names; a plain date is midnight UTC. ValueError when there is no such day."""
    time = datetime.fromisoformat(value)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _check_date(value: str) -> str:
    read_date(rules.DATE.check(value))
    return value


EndOfLifeDate = Annotated[str, AfterValidator(_check_date)]
RegionName = Annotated[str, AfterValidator(rules.check_region_name)]
DiskEncryptionSetId = Annotated[str, AfterValidator(rules.DISK_ENCRYPTION_SET_ID.check)]
FeatureName = Annotated[str, AfterValidator(rules.FEATURE_NAME.check)]
TagValue = Annotated[str, Field(max_length=256)]
Tags = Annotated[dict[str, TagValue], Field(max_length=TAGS_MOST), AfterValidator(rules.check_tag_names)]


def tags(description: str) -> Any:  # noqa: ANN401 - what pydantic's Field returns
    """Return a field for tags."""
    return Field(
        None,
        description=f"{description} Default: none.",
        json_schema_extra=rules.validations(rules.TAG_NAME),
    )


def text(description: str, longest: int) -> Any:  # noqa: ANN401 - as above
    """Return a field for an optional text."""
    return Field(None, max_length=longest, description=f"{description} Default: none for a new definition.")


def end_of_life(description: str) -> Any:  # noqa: ANN401 - as above
    """Return a field for an end of life."""
    return Field(
        None,
        max_length=40,
        description=f"{description} A plain date is midnight UTC. Default: none.",
        json_schema_extra=rules.validations(rules.DATE.rule()),
    )


class GalleryCreation(ApiModel):
    """What a missing gallery is created with."""

    location: RegionName = Field(
        description="Region of the gallery, as a short name. It decides about quotas, not about where versions are.",
        max_length=64,
        json_schema_extra=rules.validations(rules.REGION_NAME),
    )
    description: str | None = Field(None, max_length=1024, description="Description of the gallery. Default: none.")
    tags: Tags | None = tags("Tags of the gallery.")


class Feature(ApiModel):
    """One feature of a definition."""

    name: FeatureName = Field(
        max_length=64,
        description="Name of the feature, such as IsAcceleratedNetworkSupported.",
        json_schema_extra=rules.validations(rules.FEATURE_NAME.rule()),
    )
    value: str = Field(max_length=128, description='Its value, such as True or "SCSI, NVMe".')


class Range(ApiModel):
    """A range of whole numbers."""

    model_config = ConfigDict(
        json_schema_extra=rules.validations(
            {
                "rule": "!has(self.min) || !has(self.max) || self.min <= self.max",
                "message": "min must not be greater than max",
                "fieldPath": ".min",
            }
        )
    )

    min: int | None = Field(None, ge=0, le=1_000_000, description="Smallest. Default: none.")
    max: int | None = Field(None, ge=0, le=1_000_000, description="Largest. Default: none.")


class Recommended(ApiModel):
    """Machine sizes that suit an image."""

    v_cpus: Range | None = Field(None, alias="vCPUs", description="Number of virtual CPUs.")
    memory: Range | None = Field(None, description="Memory in GB.")


class Disallowed(ApiModel):
    """Disk types that do not suit an image."""

    disk_types: list[Annotated[str, Field(max_length=64, description="A type of disks.")]] | None = Field(
        None,
        max_length=16,
        description="Disk types, such as Standard_LRS. Default: none.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class OsDiskEncryption(ApiModel):
    """Encryption of the OS disk."""

    disk_encryption_set_id: DiskEncryptionSetId = Field(
        max_length=300,
        description="Resource id of a disk encryption set in that region.",
        # a list in a list: a rule here would be over the API server's cost budget
        json_schema_extra={"pattern": rules.DISK_ENCRYPTION_SET_ID.regex},
    )


class DataDiskEncryption(OsDiskEncryption):
    """Encryption of one data disk."""

    lun: int = Field(ge=0, le=63, description="LUN of the disk in the managed image.")


class Encryption(ApiModel):
    """Disk encryption sets of one region; every disk of the image needs one."""

    os_disk_image: OsDiskEncryption | None = Field(None, description="For the OS disk.")
    data_disk_images: list[DataDiskEncryption] | None = Field(
        None,
        max_length=64,
        description="For the data disks, by LUN. Default: none.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class SafetyProfile(ApiModel):
    """Protection of the version in Azure."""

    block_deletion_before_end_of_life: bool = Field(
        False,  # noqa: FBT003 - a default
        description="Whether Azure refuses to delete the version before its end of life.",
    )
