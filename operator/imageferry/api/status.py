"""What Azure showed. Written by the operator; others set the Verified condition and status.verification.

All of it is output, except `verification`, the Verified condition, `operation`, the
attempt counter, the proof that a verification is compared with, and `applied`: the
operator decides by what it sees in Azure, never by what it once wrote. `applied` tells
which values of the spec were sent before, so that only an edit of the spec changes Azure
and never a difference that somebody made there. `deletion.receipt` only ever stops action.
`repairs` and `deletion.requestedAt` may forbid a repair; alone they never allow one.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from imageferry.api import rules
from imageferry.api.base import ApiModel

OUTPUT_TEXT = 1024
ID = 500
TOKEN = 256
CONSUMERS = 32
"""So many consumers of an image are listed; their number is in the guard's sentence."""


class Phase(StrEnum):
    """Where a migration stands, for people; machines read conditions."""

    PENDING = "Pending"
    CHECKING = "Checking"
    DEFINING = "Defining"
    CREATING = "Creating"
    REPLICATING = "Replicating"
    AWAITING_VERIFICATION = "AwaitingVerification"
    DELETION_BLOCKED = "DeletionBlocked"
    DELETING = "Deleting"
    COMPLETED = "Completed"
    PLANNED = "Planned"
    STALLED = "Stalled"
    SUSPENDED = "Suspended"


class ConditionStatus(StrEnum):
    """Status of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Outcome(StrEnum):
    """How a resource in Azure came to be what we found."""

    CREATED = "Created"
    ADOPTED = "Adopted"


class ReceiptOutcome(StrEnum):
    """How the managed image went."""

    DELETED = "Deleted"
    ALREADY_GONE = "AlreadyGone"


class ActionName(StrEnum):
    """A mutation in Azure."""

    CREATE_GALLERY = "CreateGallery"
    CREATE_DEFINITION = "CreateDefinition"
    UPDATE_DEFINITION = "UpdateDefinition"
    CREATE_VERSION = "CreateVersion"
    UPDATE_VERSION = "UpdateVersion"
    REMOVE_REGIONS = "RemoveRegions"
    DELETE_VERSION = "DeleteVersion"
    DELETE_IMAGE = "DeleteImage"


_CONDITION_TYPE = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
)


class Condition(ApiModel):
    """One observation in the Kubernetes form. Entries of others need only type and status."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(max_length=316, description="What is observed.", json_schema_extra={"pattern": _CONDITION_TYPE})
    status: ConditionStatus = Field(description="True, False or Unknown.")
    reason: str | None = Field(None, max_length=OUTPUT_TEXT, description="One CamelCase word for machines.")
    message: str | None = Field(None, max_length=8192, description="A sentence for people.")
    observed_generation: int | None = Field(
        None, ge=0, description="Generation of the spec that this was observed for."
    )
    last_transition_time: datetime | None = Field(None, description="When the status last changed.")


class Operation(ApiModel):
    """The announced mutation. It is cleared when its outcome was seen."""

    id: str = Field(max_length=64, description="Unique for each announcement.")
    action: ActionName = Field(description="What was about to be done.")
    resource: str = Field(max_length=ID, description="Id of the resource that it concerns.")
    requested_at: datetime = Field(description="When it was announced, immediately before it was sent.")
    attempt: int = Field(1, ge=1, description="How often this action was announced for this resource.")


class SourceStatus(ApiModel):
    """The managed image as it was last seen."""

    id: str = Field(max_length=ID, description="Resource id, as Azure writes it.")
    location: str | None = Field(None, max_length=64, description="Region, as a short name.")
    os_type: str | None = Field(None, max_length=32, description="Windows or Linux.")
    hyper_v_generation: str | None = Field(None, alias="hyperVGeneration", max_length=8, description="V1 or V2.")
    size_gb: int | None = Field(None, alias="sizeGB", ge=0, description="Sum over all disks in GiB.")
    data_disks: int | None = Field(None, ge=0, le=64, description="Number of data disks.")
    fingerprint: str | None = Field(None, max_length=128, description="Digest of what makes this image this image.")


def _applied() -> Any:  # noqa: ANN401 - what pydantic's Field returns
    return Field(
        None,
        description="Values of the spec that were sent to Azure, by field. A value that is missing here is compared "
        "with Azure.",
    )


Applied = Annotated[dict[str, Annotated[str, Field(max_length=OUTPUT_TEXT)]], Field(max_length=1024)]


class DefinitionStatus(ApiModel):
    """The image definition."""

    id: str = Field(max_length=ID, description="Resource id.")
    outcome: Outcome | None = Field(None, description="Created or Adopted.")
    applied: Applied | None = _applied()


class VersionStatus(ApiModel):
    """The image version."""

    id: str = Field(max_length=ID, description="Resource id.")
    outcome: Outcome | None = Field(None, description="Created or Adopted.")
    provisioning_state: str | None = Field(None, max_length=64, description="As Azure wrote it.")
    published_date: str | None = Field(
        None, max_length=64, description="As Azure wrote it; part of the proof, so never reformatted."
    )
    attempts: int | None = Field(None, ge=0, description="How many builds of ours were seen.")
    applied: Applied | None = _applied()


class RegionStatus(ApiModel):
    """Replication into one region, from Azure's replication status."""

    name: str = Field(max_length=64, description="Short name of the region.")
    state: str = Field(max_length=32, description="Pending, Replicating, Completed, Failed, Unknown or Extra.")
    progress: int | None = Field(None, ge=0, le=100, description="Percent.")
    details: str | None = Field(None, max_length=OUTPUT_TEXT, description="What Azure says about it.")
    since: datetime | None = Field(None, description="When this state was first seen.")
    last_progress_time: datetime | None = Field(
        None, description="When its progress was last seen to change, while it is on its way."
    )
    repairs: int | None = Field(
        None,
        ge=0,
        description="How often it was removed and added again after a failure. Absent once it was Completed, and where "
        "it is not known that it never was.",
    )


class ReplicationStatus(ApiModel):
    """Replication over all wanted regions."""

    summary: str = Field(max_length=16, description="Completed regions / wanted regions.")
    progress: int = Field(0, ge=0, le=100, description="Average over the wanted regions in percent.")
    expected_completion_time: datetime | None = Field(
        None, description="When the last region is expected to be Completed, at the pace so far."
    )
    regions: list[RegionStatus] = Field(
        default_factory=list,
        max_length=128,
        description="One entry a region.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class Proof(ApiModel):
    """What a verification vouches for: this version, published then, built from this image."""

    digest: str = Field(max_length=80, description="Digest of the other three.")
    source_fingerprint: str = Field(max_length=128, description="Fingerprint of the managed image.")
    version_id: str = Field(max_length=ID, description="Id of the version, in lower case.")
    published_date: str = Field(max_length=64, description="As Azure wrote it.")


class Verification(ApiModel):
    """Whose word the Verified condition is, and for which proof."""

    digest: str | None = Field(
        None,
        max_length=80,
        description="The proof that was verified. Absent: the status.proof.digest of the moment when the condition "
        "first appears.",
        json_schema_extra=rules.validations(rules.DIGEST.rule()),
    )
    by: str | None = Field(None, max_length=512, description="Who verified.")
    at: datetime | None = Field(None, description="When the operator first saw it. Written by the operator.")
    method: str | None = Field(
        None,
        max_length=32,
        description="Condition: somebody set the condition. ApprovedDigest: the spec approves the proof.",
    )
    evidence: str | None = Field(None, max_length=2048, description="A link or a sentence, free to use.")


class GuardStatus(ApiModel):
    """Whether one guard of the deletion held."""

    name: str = Field(max_length=64, description="Name of the guard.")
    passed: bool = Field(description="Whether it held in the last pass.")
    message: str | None = Field(None, max_length=OUTPUT_TEXT, description="A sentence.")
    waived: str | None = Field(
        None, max_length=512, description="Why spec.sourceDeletion.waivers takes it for held; absent: it was asked."
    )


class ConsumerStatus(ApiModel):
    """Something in Azure that still needs the managed image."""

    id: str = Field(max_length=ID, description="Resource id.")
    kind: str = Field(max_length=64, description="VirtualMachine, VirtualMachineScaleSet or ImageVersion.")


class AzureIdentity(ApiModel):
    """Who the operator is in Azure, as the token says that its calls carry."""

    tenant_id: str | None = Field(None, max_length=64, description="Tenant of the identity (claim tid).")
    client_id: str | None = Field(None, max_length=64, description="Application of the identity (claim appid or azp).")
    object_id: str | None = Field(
        None, max_length=64, description="Object id of the identity, by which role assignments name it (claim oid)."
    )


class DeletionRequest(ApiModel):
    """In whose name the deletion was announced; it goes into the receipt."""

    verification: Verification | None = Field(None, description="The verification as it stood then.")
    identity: AzureIdentity | None = Field(None, description="Who sent the deletion to Azure.")


class ReceiptVersion(ApiModel):
    """The version that the managed image lives on in."""

    id: str = Field(max_length=ID, description="Resource id.")
    published_date: str | None = Field(None, max_length=64, description="As Azure wrote it.")


class Receipt(ApiModel):
    """The end of the managed image. With it the migration is final: nothing is done for it any more.

    What only a deletion of ours has is absent where the image was gone already.
    """

    outcome: ReceiptOutcome = Field(description="Deleted by this migration, or AlreadyGone.")
    resource: str = Field(max_length=ID, description="Id of the managed image.")
    at: datetime = Field(description="When its absence was seen.")
    digest: str | None = Field(None, max_length=80, description="The proof under which it was deleted.")
    source: SourceStatus | None = Field(None, description="The managed image as it was last seen.")
    version: ReceiptVersion | None = Field(None, description="The version that it lives on in.")
    verification: Verification | None = Field(None, description="On whose word it was deleted, with which evidence.")
    identity: AzureIdentity | None = Field(None, description="Who sent the deletion to Azure.")
    requested_at: datetime | None = Field(None, description="When the deletion was announced.")
    correlation_id: str | None = Field(
        None,
        max_length=128,
        description="Azure's correlation id of the deletion, which its activity log holds. Absent when the operator "
        "was stopped between Azure's answer and this receipt.",
    )


class Deletion(ApiModel):
    """The deletion of the managed image."""

    guards: list[GuardStatus] = Field(
        default_factory=list,
        max_length=24,
        description="What has to hold before the image is deleted.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    requested_at: datetime | None = Field(None, description="When the deletion of the image was first announced.")
    consumers: list[ConsumerStatus] | None = Field(
        None,
        max_length=CONSUMERS,
        description="What still needs the managed image, as far as it can be seen; the first of them where there are "
        "many.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    request: DeletionRequest | None = Field(None, description="In whose name the open deletion was announced.")
    receipt: Receipt | None = Field(None, description="How the image went.")


class Severity(StrEnum):
    """What a finding means for the migration."""

    BLOCKS = "Blocks"
    WARNS = "Warns"
    NOTES = "Notes"


class FindingStatus(ApiModel):
    """Something that was found before the first write."""

    severity: Severity = Field(description="Blocks: it cannot go on. Warns: look at it. Notes: good to know.")
    reason: str = Field(max_length=64, description="One CamelCase word for machines.")
    message: str = Field(max_length=2048, description="What was found, and the cure.")


class Change(ApiModel):
    """One field that a call sets, or changes."""

    field: str = Field(max_length=700, description="Path of the field in ARM's body.")
    before: str | None = Field(None, alias="from", max_length=OUTPUT_TEXT, description="Value in Azure; absent: none.")
    after: str | None = Field(None, alias="to", max_length=OUTPUT_TEXT, description="Value to be; absent: taken out.")


class PlannedCall(ApiModel):
    """One call that would change Azure."""

    action: ActionName = Field(description="What would be done.")
    resource: str = Field(max_length=ID, description="Id of the resource.")
    when: str | None = Field(None, max_length=OUTPUT_TEXT, description="What has to happen first.")
    changes: list[Change] = Field(
        default_factory=list,
        max_length=512,
        description="Field by field.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class ErrorStatus(ApiModel):
    """The error that holds the migration up."""

    code: str = Field(max_length=128, description="Azure's code, or our own.")
    message: str = Field(max_length=4096, description="What was found, and the cure.")
    kind: str = Field(max_length=64, description="What follows: WaitForState, BackOff, AskUser or GiveUp.")
    retry_time: datetime | None = Field(None, description="When it is tried again.")
    correlation_id: str | None = Field(
        None, max_length=128, description="Azure's correlation id, which its support asks for."
    )


_ONE_VERIFIED = {
    "rule": "self.filter(c, c.type.lowerAscii() == 'verified').size() <= 1",
    "message": "there is a Verified condition already (letter case does not count): change that one; "
    "kubectl apply --server-side --force-conflicts --subresource=status does",
}


class Status(ApiModel):
    """What Azure showed. Written by the operator; others set only the Verified condition and verification."""

    observed_generation: int | None = Field(None, ge=-1, description="Generation of the spec that was last acted on.")
    phase: Phase | None = Field(None, description="Where the migration stands, for people; machines read conditions.")
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=24,
        description="Ready, Reconciling, Stalled, PreflightPassed, DefinitionReady, VersionReady, Replicated, "
        "SourceDeleted; Verified is set by others.",
        json_schema_extra=rules.validations(
            _ONE_VERIFIED, **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
        ),
    )
    operation: Operation | None = Field(None, description="The announced mutation.")
    source: SourceStatus | None = Field(None, description="The managed image as it was last seen.")
    definition: DefinitionStatus | None = Field(None, description="The image definition.")
    version: VersionStatus | None = Field(None, description="The image version.")
    replication: ReplicationStatus | None = Field(None, description="Replication, region by region.")
    proof: Proof | None = Field(None, description="What there is to verify.")
    verification: Verification | None = Field(None, description="What was verified, and by whom.")
    deletion: Deletion | None = Field(None, description="The deletion of the managed image.")
    error: ErrorStatus | None = Field(None, description="The error that holds the migration up.")
    plan: list[PlannedCall] | None = Field(
        None,
        max_length=16,
        description="Mode Plan: the calls that would change Azure, in their order.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    findings: list[FindingStatus] | None = Field(
        None,
        max_length=64,
        description="What was found before the first write.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    last_handled_reconcile_at: str | None = Field(
        None, max_length=TOKEN, description="Value of the annotation imageferry.dev/reconcile-at that was last obeyed."
    )

    @property
    def receipt(self) -> Receipt | None:
        """How the managed image went; None while it is not known to be gone."""
        return self.deletion.receipt if self.deletion else None
