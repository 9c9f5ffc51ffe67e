"""Azure's error codes, what follows from each, and the cure: data, for the operator and for its docs.

From the fact sheet, section 9. ARM uses one status for many things and one code for
several, so an entry may name the status too and, where a code is unknown or means different
things, words of the message as Azure's troubleshooting page gives them: the most particular
entry counts. What is not listed backs off and is shown with its text, never dropped.
"""

from dataclasses import dataclass

from imageferry.migration.errors import (
    AskUserError,
    BackOffError,
    DeniedError,
    GiveUpError,
    MigrationError,
    NotVisibleError,
    WaitForStateError,
)

ANY = "any"
"""For what Azure tells by its text: the code is not known, or stands for several things."""
TOLD_BY_TEXT = frozenset({400, 404, 409, 429})
"""Statuses whose text may say more than the code."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One meaning of a code; `words` are lower-case and part of the message.

    `where` is for readers: the statuses it comes with, or `late` when a call was accepted and its operation failed.
    """

    code: str
    kind: type[MigrationError]
    when: str
    cure: str = ""
    where: str = ""
    status: int | None = None
    words: str = ""

    @property
    def precision(self) -> tuple[bool, bool, bool]:
        """How particular it is."""
        return (bool(self.words), self.code != ANY, self.status is not None)

    def fits(self, code: str, *, status: int, text: str) -> bool:
        """Say whether an answer may mean this; `text` in lower case."""
        known = status in TOLD_BY_TEXT if self.code == ANY else self.code.casefold() == code.casefold()
        return known and self.status in (None, status) and self.words in text


CATALOGUE: tuple[Entry, ...] = (
    # what is not there
    Entry("ResourceNotFound", NotVisibleError, "something that the call names is missing, or not visible yet",
          "it is looked at again; create it if it stays away", where="404"),
    Entry("ParentResourceNotFound", NotVisibleError, "the gallery or the definition is missing, or not visible yet",
          "it is looked at again; create it if it stays away", where="404"),
    Entry("ResourceGroupNotFound", AskUserError, "the resource group does not exist",
          "create the group, or correct the id in a new ImageMigration", where="404"),
    Entry("ResourceGroupBeingDeleted", AskUserError, "the resource group is being deleted",
          "use another group in a new ImageMigration", where="409"),
    Entry("SubscriptionNotFound", AskUserError, "the subscription does not exist, or the identity cannot see it",
          "correct the subscription, or give the operator's identity access to it", where="404"),
    Entry("InvalidSubscriptionId", AskUserError, "the subscription's id is malformed", "correct the subscription",
          where="400"),
    Entry("NotFound", AskUserError, "the source is missing, unreadable, or in another region",
          "correct spec.source.managedImageId in a new ImageMigration, or give the operator's identity read access",
          where="404", status=404),
    Entry(ANY, AskUserError, "the source is missing, unreadable, or in another region",
          "correct spec.source.managedImageId in a new ImageMigration, or give the operator's identity read access",
          where="400, 404", words="in the same region as gallery image version"),
    # what the body says
    Entry("InvalidParameter", GiveUpError, "a value that Azure does not take", "correct the field that is named",
          where="400"),
    Entry("BadRequest", GiveUpError, "the image and the definition do not fit, or the body is malformed",
          "correct the definition that is named, or use another one in a new ImageMigration", where="400"),
    Entry("InvalidRequestContent", GiveUpError, "the body has a shape that Azure does not take",
          "report it to us with the correlation id", where="400"),
    Entry("PropertyChangeNotAllowed", GiveUpError, "a field that cannot be changed would be",
          "take the change back, or use a new ImageMigration", where="409"),
    Entry("InvalidResourceLocation", GiveUpError, "a resource of that name exists in another region",
          "use another name in a new ImageMigration", where="409"),
    Entry("LocationNotAvailableForResourceType", GiveUpError, "galleries are not offered in that region",
          "use another region", where="400"),
    Entry("GallerySourceResourceExceedsMaxSize", GiveUpError, "a disk of the image is over 2048 GB",
          "capture a smaller image, or use replicationMode Shallow in a new ImageMigration", where="400, late"),
    Entry(ANY, GiveUpError, "a disk of the image is over 2048 GB",
          "capture a smaller image, or use replicationMode Shallow in a new ImageMigration",
          where="400, late", words="exceeds the max size"),
    Entry(ANY, GiveUpError, "the image and the definition differ in generation",
          "use a definition of the image's generation in a new ImageMigration",
          where="late", words="different hypervisor generation"),
    Entry(ANY, GiveUpError, "another gallery of the subscription has this name",
          "use another name, or that gallery, in a new ImageMigration",
          where="409", words="is not unique within the subscription"),
    Entry(ANY, GiveUpError, "another definition of the gallery has this publisher, offer and sku",
          "give spec.definition.identifier values of its own, or name that definition, in a new ImageMigration",
          where="400, 409", words="different publisher, offer, sku combination"),
    Entry(ANY, GiveUpError, "Standard_ZRS in a region without zones",
          "use Standard_LRS or Premium_LRS there in a new ImageMigration",
          where="400", words="zrs storage account type is not supported"),
    Entry(ANY, AskUserError, "an encryption set is missing, in another subscription or region, or not given everywhere",
          "correct the encryption of the region that is named in a new ImageMigration, or the set in Azure",
          where="400, 404", words="disk encryption set"),
    Entry(ANY, AskUserError, "the encryption names a LUN that the image does not have, or one twice",
          "correct encryption.dataDiskImages in a new ImageMigration",
          where="400", words="encryption.datadiskimages"),
    Entry(ANY, AskUserError, "an encrypted source must be in the gallery's subscription",
          "use a gallery in the source's subscription in a new ImageMigration",
          where="400", words="encrypted source"),
    Entry("NoRegisteredProviderFound", GiveUpError, "this cloud does not know the API version",
          "use the operator's release for this cloud", where="400"),
    # what goes on at the same time
    Entry("Conflict", WaitForStateError, "another write is in progress, or the source builds another version",
          "it is tried again when that is over", where="409"),
    Entry("OperationNotAllowed", WaitForStateError, "another operation is in progress", "it is tried again",
          where="409", status=409),
    Entry("OperationNotAllowed", AskUserError, "a quota is used up", "free some, or ask Azure for more",
          where="403, 409", words="quota"),
    Entry("OperationNotAllowed", AskUserError, "a limit is reached", "free some, or ask Azure for more",
          where="403, 409", words="exceeding"),
    Entry("OperationNotAllowed", BackOffError, "Compute throttles", "it is tried again when Azure says",
          where="429", status=429),
    Entry(ANY, WaitForStateError, "the source builds other versions", "it is tried again when they are done",
          where="409, 429", words="too many requests on source"),
    Entry("OperationNotAllowedOnVMImageAsVMsBeingProvisioned", WaitForStateError,
          "machines are still being made from the image",
          "it is tried again; a machine that hangs has to be deleted by hand", where="409"),
    Entry("CannotDeleteResource", NotVisibleError, "something below it is still there, or was until just now",
          "it is tried again; delete what is named if it stays", where="409"),
    Entry("RetryableError", BackOffError, "a passing fault", "it is tried again", where="429"),
    # limits
    Entry("TooManyRequests", BackOffError, "Compute throttles", "it is tried again when Azure says", where="429"),
    Entry("SubscriptionRequestsThrottled", BackOffError, "Resource Manager throttles the subscription",
          "it is tried again when Azure says", where="429"),
    Entry("ResourceRequestsThrottled", BackOffError, "Resource Manager throttles the resource",
          "it is tried again when Azure says", where="429"),
    Entry("QuotaExceeded", AskUserError, "a quota is used up", "free some, or ask Azure for more",
          where="409, late"),
    # rights, locks and policies
    Entry("AuthorizationFailed", DeniedError, "the identity lacks an action, or its role has not spread yet",
          "give the operator's identity the role (docs/azure.md), or wait until it has spread", where="403"),
    Entry("LinkedAuthorizationFailed", DeniedError, "the identity may not read something that the call refers to",
          "give the operator's identity read access to the linked resource", where="403"),
    Entry("InvalidAuthenticationToken", DeniedError, "Azure does not take the token",
          "the next call logs in anew; check the operator's credential settings if it stays", where="401"),
    Entry("ExpiredAuthenticationToken", DeniedError, "the token is over",
          "the next call logs in anew; check the operator's credential settings if it stays", where="401"),
    Entry("ScopeLocked", AskUserError, "a lock forbids it", "remove the lock in Azure; it is tried again",
          where="409"),
    Entry("RequestDisallowedByPolicy", AskUserError, "an Azure policy forbids it",
          "change what the policy names (region, tags), or exempt the resource", where="403"),
    Entry("MissingSubscriptionRegistration", AskUserError, "Microsoft.Compute is not registered",
          "register Microsoft.Compute in the subscription", where="409"),
    Entry("SubscriptionNotRegistered", AskUserError, "Microsoft.Compute is not registered",
          "register Microsoft.Compute in the subscription", where="409"),
    Entry("DeleteGalleryImageVersionBlockedBeforeEndOfLife", AskUserError,
          "the version is protected until its end of life", "take blockDeletionBeforeEndOfLife away first",
          where="409"),
    # what only machines meet
    Entry("GalleryImageNotFound", NotVisibleError, "the version is not in that region, or not yet",
          "wait until the region is Completed, or add it to spec.version.targetRegions", where="404 of a machine"),
    Entry("SkuNotAvailable", AskUserError, "the size is not offered there", "use another size or region",
          where="409 of a machine, late"),
    Entry("AllocationFailed", AskUserError, "Azure has no room for a machine now", "use another size or region",
          where="409 of a machine, late"),
    Entry("ZonalAllocationFailed", AskUserError, "Azure has no room for a machine in that zone now",
          "use another size or zone", where="409 of a machine, late"),
    Entry("OverconstrainedAllocationRequest", AskUserError, "no place fits all that the machine asks for",
          "use another size or region", where="409 of a machine, late"),
    Entry("MarketplacePurchaseEligibilityFailed", AskUserError, "the plan's terms are not accepted",
          "accept the terms of the plan in the subscription", where="400 of a machine"),
    Entry("VMMarketplaceInvalidInput", AskUserError, "the image needs a plan, and none or another one was sent",
          "give spec.definition.purchasePlan in a new ImageMigration", where="400 of a machine"),
    Entry("OSProvisioningTimedOut", GiveUpError, "the machine did not come up",
          "generalize the image anew, with a working agent, and capture it again", where="late, of a machine"),
    Entry("OSProvisioningInternalError", GiveUpError, "the machine did not come up",
          "generalize the image anew, with a working agent, and capture it again", where="late, of a machine"),
    Entry("VMAgentStatusCommunicationError", GiveUpError, "the machine's agent does not report",
          "install a working agent in the image, and capture it again", where="late, of a machine"),
    # Azure's own troubles
    Entry("CrpPirReplicationJobsNotCompleted", BackOffError, "replication failed or timed out in a region",
          "remove the region and add it again", where="late"),
    Entry("InvalidBeginGetAccessForGalleryImageVersionSnapshotResponseFromPIR", BackOffError,
          "the build failed inside Azure", "delete the version and build it again", where="late"),
    Entry("InternalServerError", BackOffError, "Azure's own fault", "it is tried again", where="500"),
    Entry("InternalExecutionError", BackOffError, "Azure's own fault", "it is tried again", where="500, late"),
    Entry("InternalOperationError", BackOffError, "Azure's own fault", "it is tried again", where="500, late"),
    Entry("ServerTimeout", BackOffError, "Azure's own fault", "it is tried again", where="500, 503"),
    Entry("GatewayTimeout", BackOffError, "Azure's own fault", "it is tried again", where="504"),
    Entry("ServiceUnavailable", BackOffError, "Azure's own fault", "it is tried again", where="503"),
    Entry("RequestTimeout", BackOffError, "Azure's own fault", "it is tried again", where="408"),
    # ours
    Entry("AuthenticationFailed", DeniedError, "no token could be had",
          "check the operator's credential settings", where="log-in"),
    Entry("ConnectionFailed", BackOffError, "Azure does not answer", "it is tried again", where="no answer"),
    Entry("UnreadableAnswer", AskUserError, "Azure's answer could not be read",
          "report it to us with the body of the resource", where="200"),
)  # fmt: skip


def find(code: str, *, status: int, message: str) -> Entry | None:
    """Return the most particular entry for an answer; None for an unknown code."""
    text = message.casefold()
    fitting = [entry for entry in CATALOGUE if entry.fits(code, status=status, text=text)]
    return max(fitting, key=lambda entry: entry.precision, default=None)


def to_markdown() -> str:
    """Return the catalogue as a page of the docs."""
    rows = [
        f"| `{entry.code}` | {entry.where} | {_when(entry)} | {_follows(entry)} | {entry.cure} |"
        for entry in sorted(CATALOGUE, key=lambda entry: (entry.code == ANY, entry.code, entry.precision))
    ]
    return "\n".join([_HEAD, *rows, ""])


def _follows(entry: Entry) -> str:
    borne = {NotVisibleError: ", 5 min", DeniedError: ", 10 min"}
    return f"`{entry.kind.kind}`{borne.get(entry.kind, '')}"


def _when(entry: Entry) -> str:
    return f"{entry.when} (its text says “{entry.words}”)" if entry.words else entry.when


_HEAD = """<!-- Generated from operator/imageferry/migration/catalogue.py by `make generate`; never edited by hand. -->
# What Azure may answer, and what follows

| what follows | means |
|---|---|
| `WaitForState` | Something in Azure has to finish first: again after 15 s, then ever more slowly up to 5 minutes. |
| `WaitForState`, 5 min | The same for what may only not be visible yet; after 5 minutes as `AskUser`. |
| `BackOff` | A passing fault: again after 5 s, then ever more slowly up to 5 minutes, or when Azure says. |
| `BackOff`, 10 min | The same for what may not be granted yet; after 10 minutes as `AskUser`. |
| `AskUser` | Only a person can cure it, in Azure or in the spec: `Stalled`, again after 5, 10, … at most 60 minutes. |
| `GiveUp` | This spec cannot work: `Stalled`, looked at again all the same. |

While it waits, `Ready` and `Reconciling` say the code and Azure's text, and the phase stays that of the step which is
held up; `status.error` has code, text, `kind`, the correlation id of what Azure answered, as have Event and log, and
the time of the next try. A passing fault is shown from the third in a row on, everything else at once. A code that is
not in this list backs off and is shown at once, with Azure's text. Once what `spec.readyWhen` names was reached,
`Ready` stays True: `status.error` says what holds the rest up, and `SourceDeleted` is `DeletionBlocked` where a
person is needed.

A change that is answered 5xx, 408 or not at all may have had its effect: it is looked for, ever more slowly, and only
after 5 minutes without it announced and sent again.

A look that is answered `404` with `ResourceNotFound`, `ParentResourceNotFound`, `NotFound` or `ResourceGroupNotFound`
is no error: what was looked at is not there. `late` means that Azure accepted the call and its operation failed: the
version is then `Failed`, which its own state and its regions tell. A code `any` stands for every code: Azure tells by
the text.

| code | where | when | what follows | cure |
|---|---|---|---|---|"""
