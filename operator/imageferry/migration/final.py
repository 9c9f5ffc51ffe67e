"""The end of a migration: the image is gone, and nothing is done for it any more."""

from typing import Any

from imageferry.api.spec import ReadyWhen
from imageferry.api.status import ActionName, Deletion, Phase, Receipt, ReceiptOutcome
from imageferry.migration.facts import MISSING, UNSEEN, Found, What
from imageferry.migration.report import (
    FALSE,
    REPLICATED,
    SOURCE_DELETED,
    TRUE,
    VERSION_READY,
    Says,
    Summary,
    compose,
)
from imageferry.migration.requests import version_id
from imageferry.migration.steps import Case, Look, Step, Wait
from imageferry.migration.tracking import version_fields, version_says

EVERYTHING = frozenset(ReadyWhen)
SENTENCES = {
    ReceiptOutcome.DELETED: "the managed image was deleted",
    ReceiptOutcome.ALREADY_GONE: "the managed image was gone already",
}


def decide(case: Case) -> Step:
    """Tell whether the version is there, now and then."""
    receipt = case.migration.status.deletion.receipt if case.migration.status.deletion else None
    if receipt is None:
        raise AssertionError("a migration without a receipt is not final")
    if case.facts.version is UNSEEN:
        return Look(What.VERSION)
    return _wait(case, receipt)


def source_gone(case: Case) -> Wait:
    """Write the receipt: the image's absence was seen just now."""
    operation = case.migration.status.operation
    ours = operation is not None and operation.action is ActionName.DELETE_IMAGE
    proof = case.migration.status.proof
    receipt = Receipt(
        outcome=ReceiptOutcome.DELETED if ours else ReceiptOutcome.ALREADY_GONE,
        resource=case.migration.spec.source.managed_image_id,
        at=case.now.replace(microsecond=0),
        digest=proof.digest if ours and proof else None,
    )
    return _wait(case, receipt)


def _wait(case: Case, receipt: Receipt) -> Wait:
    sentence = SENTENCES[receipt.outcome]
    says = {SOURCE_DELETED: Says(TRUE, receipt.outcome, sentence)}
    fields: dict[str, Any] = {}
    if isinstance(case.facts.version, Found):
        says |= version_says(case, case.facts.version.value)
        fields = version_fields(case, case.facts.version.value)
    elif case.facts.version is MISSING:
        message = f"{version_id(case.migration)} is gone, and its source too; nothing can bring it back"
        says |= {kind: Says(FALSE, "Gone", message) for kind in (VERSION_READY, REPLICATED)}
        fields = {"replication": None}
    summary = Summary(Phase.COMPLETED, "Completed", f"Completed: {sentence}.", reached=EVERYTHING)
    deletion = (case.migration.status.deletion or Deletion()).model_copy(update={"receipt": receipt})
    fields |= {"deletion": deletion, "operation": None}
    status = compose(case.migration, summary, now=case.now, says=says, **fields)
    return Wait(status, case.timing.complete)
