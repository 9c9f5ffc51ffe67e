"""Azure's error codes, what follows from each, and the cure: data, for the operator and for its docs.

From the fact sheet, section 9. ARM uses one status for many things and one code for
several, so an entry may name the status too and, for the few codes that mean different
things, words of the message: the most particular entry counts. What is not listed backs
off and is shown with its text, never dropped.
"""

from dataclasses import dataclass

from imageferry.migration.errors import (
    AskUserError,
    BackOffError,
    DeniedError,
    GiveUpError,
    MigrationError,
    WaitForStateError,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One meaning of a code; `words` are lower-case and part of the message."""

    code: str
    kind: type[MigrationError]
    when: str
    cure: str = ""
    status: int | None = None
    words: str = ""

    @property
    def precision(self) -> tuple[bool, bool]:
        """How particular it is."""
        return (bool(self.words), self.status is not None)


CATALOGUE: tuple[Entry, ...] = (
    # what is not there
    Entry("ResourceNotFound", WaitForStateError, "something that the call names is missing, or not visible yet",
          "it is looked at again; create it if it stays away"),
    Entry("ParentResourceNotFound", WaitForStateError, "the gallery or the definition is missing, or not visible yet",
          "it is looked at again; create it if it stays away"),
    Entry("ResourceGroupNotFound", AskUserError, "the resource group does not exist",
          "create the group, or correct the id in a new ImageMigration"),
    Entry("ResourceGroupBeingDeleted", AskUserError, "the resource group is being deleted",
          "use another group in a new ImageMigration"),
    Entry("SubscriptionNotFound", AskUserError, "the subscription does not exist, or the identity cannot see it",
          "correct the subscription, or give the operator's identity access to it"),
    Entry("InvalidSubscriptionId", AskUserError, "the subscription's id is malformed", "correct the subscription"),
    Entry("NotFound", AskUserError, "the source is missing, unreadable, or in another region",
          "correct spec.source.managedImageId in a new ImageMigration, or give the operator's identity read access",
          status=404),
    # what the body says
    Entry("InvalidParameter", GiveUpError, "a value that Azure does not take", "correct the field that is named"),
    Entry("BadRequest", GiveUpError, "the image and the definition do not fit, or the body is malformed",
          "correct the definition that is named, or use another one in a new ImageMigration"),
    Entry("InvalidRequestContent", GiveUpError, "the body has a shape that Azure does not take",
          "report it to us with the correlation id"),
    Entry("PropertyChangeNotAllowed", GiveUpError, "a field that cannot be changed would be",
          "take the change back, or use a new ImageMigration"),
    Entry("InvalidResourceLocation", GiveUpError, "a resource of that name exists in another region",
          "use another name in a new ImageMigration"),
    Entry("LocationNotAvailableForResourceType", GiveUpError, "galleries are not offered in that region",
          "use another region"),
    Entry("GallerySourceResourceExceedsMaxSize", GiveUpError, "a disk of the image is over 2048 GB",
          "capture a smaller image, or use replicationMode Shallow in a new ImageMigration"),
    Entry("NoRegisteredProviderFound", GiveUpError, "this cloud does not know the API version",
          "use the operator's release for this cloud"),
    # what goes on at the same time
    Entry("Conflict", WaitForStateError, "another write is in progress, or the source builds another version",
          "it is tried again when that is over"),
    Entry("OperationNotAllowed", WaitForStateError, "another operation is in progress", "it is tried again",
          status=409),
    Entry("OperationNotAllowed", AskUserError, "a quota is used up", "free some, or ask Azure for more",
          words="quota"),
    Entry("OperationNotAllowed", AskUserError, "a limit is reached", "free some, or ask Azure for more",
          words="exceeding"),
    Entry("OperationNotAllowed", BackOffError, "Compute throttles", "it is tried again when Azure says",
          status=429),
    Entry("OperationNotAllowedOnVMImageAsVMsBeingProvisioned", WaitForStateError,
          "machines are still being made from the image",
          "it is tried again; a machine that hangs has to be deleted by hand"),
    Entry("CannotDeleteResource", WaitForStateError, "something below it is still there", "it is tried again"),
    Entry("RetryableError", BackOffError, "a passing fault", "it is tried again"),
    # limits
    Entry("TooManyRequests", BackOffError, "Compute throttles", "it is tried again when Azure says"),
    Entry("SubscriptionRequestsThrottled", BackOffError, "Resource Manager throttles the subscription",
          "it is tried again when Azure says"),
    Entry("ResourceRequestsThrottled", BackOffError, "Resource Manager throttles the resource",
          "it is tried again when Azure says"),
    Entry("QuotaExceeded", AskUserError, "a quota is used up", "free some, or ask Azure for more"),
    # rights, locks and policies
    Entry("AuthorizationFailed", DeniedError, "the identity lacks an action, or its role has not spread yet",
          "give the operator's identity the role (docs/azure.md), or wait until it has spread"),
    Entry("LinkedAuthorizationFailed", DeniedError, "the identity may not read something that the call refers to",
          "give the operator's identity read access to the linked resource"),
    Entry("InvalidAuthenticationToken", DeniedError, "Azure does not take the token",
          "check the operator's credential settings"),
    Entry("ExpiredAuthenticationToken", BackOffError, "the token is over", "the next call logs in anew"),
    Entry("ScopeLocked", AskUserError, "a lock forbids it", "remove the lock in Azure; it is tried again"),
    Entry("RequestDisallowedByPolicy", AskUserError, "an Azure policy forbids it",
          "change what the policy names (region, tags), or exempt the resource"),
    Entry("MissingSubscriptionRegistration", AskUserError, "Microsoft.Compute is not registered",
          "register Microsoft.Compute in the subscription"),
    Entry("SubscriptionNotRegistered", AskUserError, "Microsoft.Compute is not registered",
          "register Microsoft.Compute in the subscription"),
    Entry("DeleteGalleryImageVersionBlockedBeforeEndOfLife", AskUserError,
          "the version is protected until its end of life", "take blockDeletionBeforeEndOfLife away first"),
    # Azure's own troubles
    Entry("InternalServerError", BackOffError, "Azure's own fault", "it is tried again"),
    Entry("InternalExecutionError", BackOffError, "Azure's own fault", "it is tried again"),
    Entry("InternalOperationError", BackOffError, "Azure's own fault", "it is tried again"),
    Entry("ServerTimeout", BackOffError, "Azure's own fault", "it is tried again"),
    Entry("GatewayTimeout", BackOffError, "Azure's own fault", "it is tried again"),
    Entry("ServiceUnavailable", BackOffError, "Azure's own fault", "it is tried again"),
    Entry("RequestTimeout", BackOffError, "Azure's own fault", "it is tried again"),
    # ours
    Entry("AuthenticationFailed", DeniedError, "no token could be had",
          "check the operator's credential settings"),
    Entry("ConnectionFailed", BackOffError, "Azure does not answer", "it is tried again"),
    Entry("UnreadableAnswer", AskUserError, "Azure's answer could not be read",
          "report it to us with the body of the resource"),
)  # fmt: skip


def find(code: str, *, status: int, message: str) -> Entry | None:
    """Return the most particular entry for an answer; None for an unknown code."""
    text = message.casefold()
    fitting = [
        entry
        for entry in CATALOGUE
        if entry.code.casefold() == code.casefold() and entry.status in (None, status) and entry.words in text
    ]
    return max(fitting, key=lambda entry: entry.precision, default=None)


def to_markdown() -> str:
    """Return the catalogue as a page of the docs."""
    rows = [
        f"| `{entry.code}` | {entry.status or ''} | {_when(entry)} | {entry.kind.kind} | {entry.cure} |"
        for entry in sorted(CATALOGUE, key=lambda entry: (entry.code, entry.precision))
    ]
    return "\n".join([_HEAD, *rows, ""])


def _when(entry: Entry) -> str:
    return f"{entry.when} (its text says “{entry.words}”)" if entry.words else entry.when


_HEAD = """<!-- Generated from operator/imageferry/migration/catalogue.py by `make generate`; never edited by hand. -->
# What Azure may answer, and what follows

| what follows | means |
|---|---|
| `WaitForState` | Something in Azure has to finish first: again after 15 s, then ever more slowly up to 5 minutes. |
| `BackOff` | A passing fault: again after 5 s, then ever more slowly up to 5 minutes, or when Azure says. |
| `AskUser` | Only a person can cure it, in Azure or in the spec: `Stalled`, again after 5, 10, … at most 60 minutes. |
| `GiveUp` | This spec cannot work: `Stalled`, looked at again all the same. |

A passing fault is in `status.error` from the third in a row on. `AuthorizationFailed`, `LinkedAuthorizationFailed` and
the token's codes count as not granted yet for 10 minutes; then the migration stalls. A code that is not in this list
backs off and is shown at once, with Azure's text. `status.error` has the correlation id of what Azure answered, as have
Event and log, and the time of the next try.

| code | status | when | what follows | cure |
|---|---|---|---|---|"""
