"""What a user asks for. Field names and values inside gallery, definition and version are ARM's.

Defaults stand in the schema where an applied manifest still shows no difference; inside
lists they stand in the description alone, because GitOps tools show them as drift.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from imageferry.api import rules
from imageferry.api.base import ApiModel
from imageferry.api.consent import VerificationTerms, Waiver
from imageferry.api.extras import (
    Disallowed,
    Encryption,
    EndOfLifeDate,
    Feature,
    GalleryCreation,
    Recommended,
    SafetyProfile,
    Tags,
    end_of_life,
    tags,
    text,
)

ANOTHER = "create another ImageMigration instead"

ManagedImageId = Annotated[str, AfterValidator(rules.MANAGED_IMAGE_ID.check)]
GalleryId = Annotated[str, AfterValidator(rules.both(rules.GALLERY_ID, rules.GALLERY_NAME))]
DefinitionName = Annotated[str, AfterValidator(rules.DEFINITION_NAME.check)]
VersionName = Annotated[str, AfterValidator(rules.VERSION_NAME.check), AfterValidator(rules.check_version_range)]
RegionName = Annotated[str, AfterValidator(rules.check_region_name)]
IdentifierPart = Annotated[str, AfterValidator(rules.IDENTIFIER.check)]


class OsType(StrEnum):
    """Operating system, in ARM's spelling."""

    WINDOWS = "Windows"
    LINUX = "Linux"


class Generation(StrEnum):
    """Hypervisor generation, in ARM's spelling."""

    V1 = "V1"
    V2 = "V2"


class SecurityType(StrEnum):
    """Values of the definition's feature of that name that a managed image can feed (fact sheet 5.1)."""

    STANDARD = "Standard"
    TRUSTED_LAUNCH_SUPPORTED = "TrustedLaunchSupported"


class StorageAccountType(StrEnum):
    """Where the copies of a version lie."""

    STANDARD_LRS = "Standard_LRS"
    STANDARD_ZRS = "Standard_ZRS"
    PREMIUM_LRS = "Premium_LRS"


class ReplicationMode(StrEnum):
    """Full copies, or a quick one that goes on depending on its source."""

    FULL = "Full"
    SHALLOW = "Shallow"


class DeletionPolicy(StrEnum):
    """What becomes of the managed image in the end."""

    DELETE = "Delete"
    RETAIN = "Retain"


class ReadyWhen(StrEnum):
    """Which state makes the Ready condition True."""

    REPLICATED = "Replicated"
    VERIFIED = "Verified"
    COMPLETE = "Complete"


class Latest(StrEnum):
    """Whether the version may be what "latest" of its definition resolves to."""

    JOIN = "Join"
    JOIN_WHEN_VERIFIED = "JoinWhenVerified"
    EXCLUDE = "Exclude"


class Mode(StrEnum):
    """Whether Azure is changed, or only told what would be."""

    MIGRATE = "Migrate"
    PLAN = "Plan"


class Source(ApiModel):
    """The managed image to migrate."""

    managed_image_id: ManagedImageId = Field(
        description="Resource id of the managed image (Microsoft.Compute/images). Immutable, letter case aside.",
        max_length=300,
        json_schema_extra=rules.validations(
            rules.MANAGED_IMAGE_ID.rule(), rules.immutable("create another ImageMigration", any_case=True)
        ),
    )


class Gallery(ApiModel):
    """The gallery that receives the image."""

    id: GalleryId = Field(
        description="Resource id of the gallery (Microsoft.Compute/galleries). Immutable, letter case aside.",
        max_length=300,
        json_schema_extra=rules.validations(
            rules.GALLERY_ID.rule(), rules.GALLERY_NAME.rule(), rules.immutable(ANOTHER, any_case=True)
        ),
    )
    create: GalleryCreation | None = Field(
        None,
        description="Lets the gallery be created when it is missing; its resource group has to exist. "
        "Default: a missing gallery is an error.",
    )


class Identifier(ApiModel):
    """Identifier of a new image definition; the three together are unique in the gallery."""

    publisher: IdentifierPart | None = Field(
        None,
        description="Default: the namespace of the ImageMigration.",
        max_length=128,
        json_schema_extra=rules.validations(rules.IDENTIFIER.rule()),
    )
    offer: IdentifierPart | None = Field(
        None,
        description="Default: the name of the definition.",
        max_length=64,
        json_schema_extra=rules.validations(rules.IDENTIFIER.rule()),
    )
    sku: IdentifierPart | None = Field(
        None,
        description='Default: "default".',
        max_length=64,
        json_schema_extra=rules.validations(rules.IDENTIFIER.rule()),
    )


class PurchasePlan(ApiModel):
    """Marketplace plan of the image. A managed image does not carry it; its captured machine does, while it exists."""

    name: str = Field(description="Name of the plan.", max_length=128)
    publisher: str = Field(description="Publisher of the plan.", max_length=128)
    product: str = Field(description="Product of the plan.", max_length=128)


_SECURE_NEEDS_V2 = {
    "rule": "!has(self.securityType) || self.securityType == 'Standard'"
    " || !has(self.hyperVGeneration) || self.hyperVGeneration == 'V2'",
    "message": "every securityType except Standard needs hyperVGeneration V2",
    "fieldPath": ".securityType",
}


class Definition(ApiModel):
    """The image definition. It is created when missing and adopted when it agrees."""

    model_config = ConfigDict(json_schema_extra=rules.validations(_SECURE_NEEDS_V2))

    name: DefinitionName = Field(
        description="Name of the definition in the gallery. Immutable.",
        max_length=80,
        json_schema_extra=rules.validations(rules.DEFINITION_NAME.rule(), rules.immutable(ANOTHER)),
    )
    identifier: Identifier | None = Field(
        None,
        description='Publisher, offer and sku. Default: the namespace, the definition\'s name and "default" '
        "for a new definition; those of an existing one.",
    )
    os_type: OsType | None = Field(None, description="Default: that of the managed image.")
    hyper_v_generation: Generation | None = Field(
        None,
        alias="hyperVGeneration",
        description="Default: that of the managed image, V1 where the image says nothing.",
    )
    security_type: SecurityType | None = Field(
        None, description="Feature SecurityType of the definition. Default: Standard for a new definition."
    )
    purchase_plan: PurchasePlan | None = Field(
        None,
        description="Marketplace plan. Default: that of the captured machine where it still exists, else none, for a "
        "new definition; that of an existing one.",
    )
    features: list[Feature] | None = Field(
        None,
        max_length=16,
        description="More features of the definition, such as DiskControllerTypes; the security type has a field of "
        "its own. Default: none for a new definition, those of an existing one.",
        json_schema_extra=rules.validations(
            rules.NO_SECURITY_FEATURE, **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
        ),
    )
    description: str | None = text("Description of a definition that this migration creates.", 1024)
    eula: str | None = text("License agreement, as text or link. Compared with an existing definition.", 1024)
    privacy_statement_uri: str | None = text("Privacy statement. Compared with an existing definition.", 1024)
    release_note_uri: str | None = text("Release notes of a definition that this migration creates.", 1024)
    end_of_life_date: EndOfLifeDate | None = end_of_life("When the definition retires; Azure never unsets it.")
    recommended: Recommended | None = Field(
        None, description="Machine sizes that suit the image. Default: none for a new definition."
    )
    disallowed: Disallowed | None = Field(
        None, description="Disk types that do not suit the image. Default: none for a new definition."
    )
    tags: Tags | None = tags("Tags of a definition that this migration creates; those of others are left alone.")


_FIXED = "is fixed once the region is listed: take the region out of Azure and of this spec, then add it"


def _stays(field: str) -> dict[str, str]:
    """Return the rule that a field of a region is neither added nor taken out later; Azure would ignore it."""
    return {"rule": f"has(self.{field}) == has(oldSelf.{field})", "message": f"{field} {_FIXED}"}


class TargetRegion(ApiModel):
    """One region that gets copies of the version."""

    model_config = ConfigDict(json_schema_extra=rules.validations(_stays("storageAccountType"), _stays("encryption")))

    name: RegionName = Field(
        description="Short name of the region, such as westeurope.",
        max_length=64,
        json_schema_extra=rules.validations(rules.REGION_NAME),
    )
    regional_replica_count: int | None = Field(
        None, ge=1, le=100, description="Copies in this region. Default: version.replicaCount."
    )
    storage_account_type: StorageAccountType | None = Field(
        None,
        description="Storage of the copies in this region; fixed once the region is listed. "
        "Default: version.storageAccountType.",
        json_schema_extra=rules.validations({"rule": "self == oldSelf", "message": _FIXED}),
    )
    exclude_from_latest: bool | None = Field(
        None, description='Whether "latest" skips this version in this region. Default: false.'
    )
    encryption: Encryption | None = Field(
        None,
        description="Disk encryption sets of the copies in this region; when one region has them, all need them. "
        "Fixed once the region is listed. Default: keys of the platform.",
        json_schema_extra=rules.validations({"rule": "self == oldSelf", "message": _FIXED}),
    )


class Version(ApiModel):
    """The image version that is built from the managed image."""

    name: VersionName = Field(
        description="Major.Minor.Patch, such as 1.0.0. Immutable.",
        max_length=32,
        json_schema_extra=rules.validations(rules.VERSION_NAME.rule(), rules.VERSION_RANGE, rules.immutable(ANOTHER)),
    )
    target_regions: list[TargetRegion] | None = Field(
        None,
        max_length=64,
        description="Regions that get the version. Default: the region of the managed image, "
        "which is always among them even when it is not listed.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    replica_count: int = Field(1, ge=1, le=100, description="Copies in a region that gives no number.")
    storage_account_type: StorageAccountType = Field(
        StorageAccountType.STANDARD_LRS,
        description="Storage in a region that gives none. Immutable.",
        json_schema_extra=rules.validations(rules.immutable(ANOTHER)),
    )
    replication_mode: ReplicationMode = Field(
        ReplicationMode.FULL,
        description="Full, or Shallow: a quick build in one region that depends on its source. Immutable.",
        json_schema_extra=rules.validations(rules.immutable(ANOTHER)),
    )

    latest: Latest = Field(
        Latest.JOIN,
        description='Whether "latest" may resolve to this version: Join at once, JoinWhenVerified, or Exclude.',
    )
    end_of_life_date: EndOfLifeDate | None = end_of_life(
        "When the version retires. What is taken out here stays in Azure."
    )
    safety_profile: SafetyProfile | None = Field(None, description="Protection of the version in Azure.")
    tags: Tags | None = tags("Tags of a version that this migration builds; those of others are left alone.")

    @model_validator(mode="after")
    def _regions_are_unique(self) -> Self:
        names = [region.name for region in self.target_regions or ()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"targetRegions: {', '.join(twice)} is listed twice; list each region once")
        return self


class SourceDeletion(ApiModel):
    """What happens to the managed image once the version is proven."""

    policy: DeletionPolicy = Field(
        DeletionPolicy.DELETE,
        description="Delete removes the managed image when every guard holds; Retain leaves it.",
    )
    grace_seconds: int = Field(0, ge=0, le=31_536_000, description="Seconds between verification and deletion.")
    waivers: list[Waiver] | None = Field(
        None,
        max_length=2,
        description="Guards that shall not hold the deletion back, each with its reason. Default: none.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["guard"]},
    )


_SHALLOW = {
    "rule": "self.version.replicationMode != 'Shallow' || self.sourceDeletion.policy == 'Retain'",
    "message": "a Shallow version depends on the managed image, which must stay: "
    "set sourceDeletion.policy to Retain, or version.replicationMode to Full",
    "fieldPath": ".sourceDeletion.policy",
}
_SHALLOW_REGION = {
    "rule": "self.version.replicationMode != 'Shallow' || !has(self.version.targetRegions)"
    " || self.version.targetRegions.size() <= 1",
    "message": "a Shallow version lives in one region: list that one or none, or set version.replicationMode to Full",
    "fieldPath": ".version.targetRegions",
}


_SHALLOW_COPY = {
    "rule": "self.version.replicationMode != 'Shallow' || (self.version.replicaCount == 1"
    " && (!has(self.version.targetRegions)"
    " || self.version.targetRegions.all(r, !has(r.regionalReplicaCount) || r.regionalReplicaCount == 1)))",
    "message": "a Shallow version has one copy: leave the counts out, or set version.replicationMode to Full",
    "fieldPath": ".version.replicaCount",
}


_BLOCKED_UNTIL = {
    "rule": "!has(self.version.safetyProfile) || !self.version.safetyProfile.blockDeletionBeforeEndOfLife"
    " || has(self.version.endOfLifeDate)",
    "message": "needs version.endOfLifeDate: without it there is no day until which deletion is blocked",
    "fieldPath": ".version.safetyProfile.blockDeletionBeforeEndOfLife",
}
_OUTLIVES_GRACE = {
    "rule": "!has(self.verification) || !has(self.verification.validForSeconds)"
    " || has(self.verification.approvedDigest) || self.sourceDeletion.graceSeconds == 0"
    " || self.verification.validForSeconds > self.sourceDeletion.graceSeconds",
    "message": "must be more than sourceDeletion.graceSeconds: the verification would expire before the grace ends",
    "fieldPath": ".verification.validForSeconds",
}


class Spec(ApiModel):
    """What to migrate, where to, and when the source may go."""

    model_config = ConfigDict(
        json_schema_extra=rules.validations(_SHALLOW, _SHALLOW_REGION, _SHALLOW_COPY, _BLOCKED_UNTIL, _OUTLIVES_GRACE)
    )

    source: Source = Field(description="The managed image to migrate.")
    gallery: Gallery = Field(description="The gallery that receives the image.")
    definition: Definition = Field(
        description="The image definition, created when missing. What is not said here is read from the managed "
        "image, or from the definition when it exists."
    )
    version: Version = Field(description="The image version that is built from the managed image.")
    verification: VerificationTerms | None = Field(
        None,
        description="How the version is verified, and for how long that counts. Default: by the Verified condition.",
    )
    source_deletion: SourceDeletion = Field(
        SourceDeletion(),
        description="What happens to the managed image once the version is proven and verified.",
    )
    ready_when: ReadyWhen = Field(ReadyWhen.REPLICATED, description="Which state makes the Ready condition True.")
    mode: Mode = Field(
        Mode.MIGRATE,
        description="Migrate, or Plan: look at everything, tell in status.plan what would be done, change nothing.",
    )
    suspend: bool = Field(False, description="Stops everything; Azure is not changed.")  # noqa: FBT003 - a default
