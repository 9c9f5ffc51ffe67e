"""What stays of a managed image: what went, when, who sent the deletion, and on whose word.

Nothing here is ever decided by. In whose name an image is deleted is written with the
announcement of the deletion, since a verification may be taken back while Azure works; all
else is what the status holds at that time. So a receipt costs no write of its own, and a
restart between the two loses only Azure's correlation id.
"""

from imageferry.api.status import (
    ActionName,
    AzureIdentity,
    Deletion,
    DeletionRequest,
    Receipt,
    ReceiptOutcome,
    ReceiptVersion,
    Status,
)
from imageferry.migration.steps import Case


def announced(status: Status, identity: AzureIdentity | None) -> Status:
    """Return the status that announces a deletion, with the names that it is done in."""
    request = DeletionRequest(verification=status.verification, identity=identity)
    deletion = (status.deletion or Deletion()).model_copy(update={"request": request})
    return status.model_copy(update={"deletion": deletion})


def written(case: Case) -> Receipt:
    """Return the receipt of an image whose absence was seen in this pass."""
    migration, status = case.migration, case.migration.status
    receipt = Receipt(
        outcome=ReceiptOutcome.ALREADY_GONE,
        resource=migration.spec.source.managed_image_id,
        at=case.now.replace(microsecond=0),
        source=status.source,
        version=_version(status),
    )
    operation = status.operation
    if operation is None or operation.action is not ActionName.DELETE_IMAGE:
        return receipt
    request = (status.deletion and status.deletion.request) or DeletionRequest()
    ours = {
        "outcome": ReceiptOutcome.DELETED,
        "digest": status.proof.digest if status.proof else None,
        "verification": request.verification,
        "identity": request.identity,
        "requested_at": operation.requested_at,
        "correlation_id": case.context.correlation_id,
    }
    return receipt.model_copy(update=ours)


def _version(status: Status) -> ReceiptVersion | None:
    if status.version is None:
        return None
    return ReceiptVersion(id=status.version.id, published_date=status.version.published_date)
