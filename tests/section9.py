"""Section 9 of the fact sheet as a table: what Azure answers, and what follows; not written from our code.

The sheet's letters: R again with back-off, W wait for a state, U for a person, T terminal for this spec. With a number
of minutes: first as R or W, then for a person, since rights spread and caches catch up within these.
"""

from dataclasses import dataclass
from enum import Enum


class Follows(Enum):
    """The class of an error: its kind in the status, and the minutes after which a person is needed (None: never)."""

    R = ("BackOff", None)
    R10 = ("BackOff", 10)
    W = ("WaitForState", None)
    W5 = ("WaitForState", 5)
    U = ("AskUser", 0)
    T = ("GiveUp", 0)

    @property
    def kind(self) -> str:
        """What `status.error.kind` says."""
        return str(self.value[0])

    @property
    def patience(self) -> int | None:
        """Minutes until it stalls."""
        minutes: int | None = self.value[1]
        return minutes

    @property
    def first(self) -> float:
        """Seconds until the second try."""
        return {"BackOff": 5.0, "WaitForState": 15.0}.get(self.kind, 300.0)


@dataclass(frozen=True)
class Row:
    """One answer; `cure` is a part of what a reader is told to do."""

    code: str
    status: int
    follows: Follows
    cure: str
    text: str = "It is not possible."
    listed: bool = True
    """Whether it has an entry; the rest is told by its status alone."""
    retry_after: int | None = None

    @property
    def found(self) -> bool:
        """Whether a look that meets it is an error; else what was looked at is not there."""
        gone = ("ResourceNotFound", "ParentResourceNotFound", "NotFound", "ResourceGroupNotFound")
        return not (self.status == 404 and self.code in gone)

    @property
    def definite(self) -> bool:
        """Whether a mutation that meets it certainly had no effect."""
        return 400 <= self.status < 500 and self.status != 408


R, R10, W, W5, U, T = Follows
AGAIN = "it is tried again"
SOURCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/i"
SET = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/diskEncryptionSets/d"

ROWS: dict[str, Row] = {
    "not-found": Row("ResourceNotFound", 404, W5, "create it if it stays away"),
    "parent-not-found": Row("ParentResourceNotFound", 404, W5, "create it if it stays away"),
    "group-not-found": Row("ResourceGroupNotFound", 404, U, "create the group"),
    "no-subscription": Row("SubscriptionNotFound", 404, U, "correct the subscription"),
    "bad-subscription": Row("InvalidSubscriptionId", 400, U, "correct the subscription"),
    "source-missing": Row("NotFound", 404, U, "correct spec.source.managedImageId"),
    "source-elsewhere": Row(
        "InvalidParameter", 400, U, "correct spec.source.managedImageId",
        f"Source {SOURCE} is not found. Please check source exists, and is in the same region as gallery image version"
        " being created",
    ),
    "parameter": Row("InvalidParameter", 400, T, "correct the field that is named"),
    "bad-request": Row("BadRequest", 400, T, "use another one in a new ImageMigration"),
    "generation": Row(
        "Conflict", 409, T, "use a definition of the image's generation",
        f"The resource with id '{SOURCE}' has a different Hypervisor generation ['V1'] than the parent gallery image"
        " Hypervisor generation ['V2']",
    ),
    "conflict": Row("Conflict", 409, W, AGAIN),
    "busy": Row("OperationNotAllowed", 409, W, AGAIN, "Another operation is in progress."),
    "immutable": Row("PropertyChangeNotAllowed", 409, T, "take the change back"),
    "children": Row("CannotDeleteResource", 409, W5, "delete what is named if it stays"),
    "being-deleted": Row(
        "OperationNotAllowed", 409, W, AGAIN,
        "Operation 'Update Gallery Image Version' is not allowed on 1.0.0 since it is marked for deletion.",
    ),
    "provisioning": Row(
        "OperationNotAllowedOnVMImageAsVMsBeingProvisioned", 409, W, "a machine that hangs has to be deleted by hand"
    ),
    "quota": Row("OperationNotAllowed", 409, U, "free some", "Operation could not be completed: quota."),
    "limit": Row("OperationNotAllowed", 403, U, "free some", "It results in exceeding the limit of galleries."),
    "quota-exceeded": Row("QuotaExceeded", 409, U, "free some"),
    "too-large": Row("GallerySourceResourceExceedsMaxSize", 400, T, "replicationMode Shallow"),
    "source-busy": Row("Conflict", 409, W, AGAIN, f"Too many requests on source '{SOURCE}'. Please wait some time."),
    "source-throttled": Row(
        "TooManyRequests", 429, W, AGAIN, f"Too many requests on source '{SOURCE}'. Please wait some time.",
        retry_after=2,
    ),
    "throttled": Row("TooManyRequests", 429, R, AGAIN, retry_after=2),
    "not-allowed-now": Row("OperationNotAllowed", 429, R, AGAIN, retry_after=2),
    "front-door": Row("SubscriptionRequestsThrottled", 429, R, AGAIN, retry_after=2),
    "resource-throttled": Row("ResourceRequestsThrottled", 429, R, AGAIN, retry_after=2),
    "plain-429": Row("Http429", 429, R, "", listed=False, retry_after=2),
    "lock": Row("ScopeLocked", 409, U, "remove the lock in Azure"),
    "no-right": Row("AuthorizationFailed", 403, R10, "give the operator's identity the role"),
    "no-linked-right": Row("LinkedAuthorizationFailed", 403, R10, "read access to the linked resource"),
    "bad-token": Row("InvalidAuthenticationToken", 401, R10, "check the operator's credential settings"),
    "old-token": Row("ExpiredAuthenticationToken", 401, R10, "check the operator's credential settings"),
    "unregistered": Row("MissingSubscriptionRegistration", 409, U, "register Microsoft.Compute"),
    "not-registered": Row("SubscriptionNotRegistered", 409, U, "register Microsoft.Compute"),
    "policy": Row("RequestDisallowedByPolicy", 403, U, "exempt the resource"),
    "location": Row("LocationNotAvailableForResourceType", 400, T, "use another region"),
    "elsewhere": Row("InvalidResourceLocation", 409, T, "use another name"),
    "gallery-name": Row(
        "Conflict", 409, T, "use another name",
        "The gallery name prod is not unique within the subscription s. Please pick another gallery name",
    ),
    "identifier": Row(
        "Conflict", 409, T, "spec.definition.identifier",
        "Gallery image: web identified by (publisher:a, offer:b, sku:c) already exists. Choose a different publisher,"
        " offer, sku combination.",
    ),
    "zones": Row("BadRequest", 400, T, "Premium_LRS", "ZRS storage account type is not supported in this region."),
    "storage-type": Row("InvalidParameter", 400, T, "correct the field", "Global storage account type mismatch."),
    "encryption-set": Row("InvalidParameter", 400, U, "encryption", f"The disk encryption set {SET} was not found"),
    "encryption-lun": Row(
        "InvalidParameter", 400, U, "dataDiskImages", "An invalid lun [3] was specified in encryption.dataDiskImages."
    ),
    "encrypted-source": Row(
        "BadRequest", 400, U, "source's subscription",
        f"Encrypted source: '{SOURCE}' is in a different subscription ID than the current gallery image version",
    ),
    "end-of-life": Row("DeleteGalleryImageVersionBlockedBeforeEndOfLife", 409, U, "blockDeletionBeforeEndOfLife"),
    "internal": Row("InternalServerError", 500, R, AGAIN),
    "execution": Row("InternalExecutionError", 500, R, AGAIN),
    "operation": Row("InternalOperationError", 500, R, AGAIN),
    "unavailable": Row("ServiceUnavailable", 503, R, AGAIN),
    "not-in-the-list": Row("NeverSeenBefore", 400, R, "", listed=False),
}  # fmt: skip
"""What a call of the main path may be answered."""

OF_MACHINES: dict[str, Follows] = {
    "GalleryImageNotFound": W5,
    "SkuNotAvailable": U,
    "AllocationFailed": U,
    "ZonalAllocationFailed": U,
    "OverconstrainedAllocationRequest": U,
    "MarketplacePurchaseEligibilityFailed": U,
    "VMMarketplaceInvalidInput": U,
    "OSProvisioningTimedOut": T,
    "OSProvisioningInternalError": T,
    "VMAgentStatusCommunicationError": T,
}
"""What only calls for machines are answered; the main path makes none."""

LATE: dict[str, Follows] = {
    "CrpPirReplicationJobsNotCompleted": R,
    "InvalidBeginGetAccessForGalleryImageVersionSnapshotResponseFromPIR": R,
    "InternalExecutionError": R,
    "InternalOperationError": R,
}
"""What only a failed operation says, after its call was accepted."""
