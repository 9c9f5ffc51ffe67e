"""The end of a migration: the image is gone, and is never looked at again.

The version stays in the migration's care as far as the spec is edited: regions and
replicas can be added. It is never deleted or built anew, as nothing could bring it back.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from imageferry.api.spec import ReadyWhen
from imageferry.api.status import ActionName, Deletion, Operation, Phase, Receipt, ReceiptOutcome
from imageferry.migration import cures, healing, pace, receipts, regions, stuck, upkeep
from imageferry.migration.facts import MISSING, UNSEEN, Found, GalleryVersion, What
from imageferry.migration.guards import SUCCEEDED
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
from imageferry.migration.stall import stalled
from imageferry.migration.steps import Case, Look, Step, Wait
from imageferry.migration.tracking import built_from_source, version_fields, version_says

EVERYTHING = frozenset(ReadyWhen)
SENTENCES = {
    ReceiptOutcome.DELETED: "the managed image was deleted",
    ReceiptOutcome.ALREADY_GONE: "the managed image was gone already",
}


def decide(case: Case, receipt: Receipt, *, may_act: bool) -> Step:
    """Keep the version as the spec has it, also as edited later; tell of it when it is gone."""
    if case.facts.version is UNSEEN:
        return Look(What.VERSION)
    if not isinstance(case.facts.version, Found) or not built_from_source(case, case.facts.version.value):
        return _wait(case, receipt)
    version = case.facts.version.value
    if upkeep.is_failed(case, version):
        healed = healing.repair(case, version) if may_act else "it is suspended"
        return _failed(case, version, why=healed) if isinstance(healed, str) else healed
    step = None
    if may_act and upkeep.takes_updates(version):
        step = upkeep.version(case, version) or upkeep.definition(case, version)
    return step or _wait(case, receipt)


def _failed(case: Case, version: GalleryVersion, *, why: str) -> Wait:
    """Stop: the image is gone, so nothing can be built again, and nothing is deleted."""
    spec = case.migration.spec.version
    failed = regions.failed(spec, version)
    what, cure = "spec.version: the last update of the version failed in Azure", "set the field that you changed back"
    if failed:
        what = f"spec.version.targetRegions: replication failed ({cures.details(failed)}); it is not repaired: {why}"
        command = cures.remove_regions(case, version, failed)
        cure = f"take the region out of the version in Azure, and it is added again: {command}"
    if version.location in failed:
        cure = "its own region cannot be taken out; build another version from where it is Completed"
    message = (
        f"{what}; the version goes on serving where it is Completed. Its source is gone, so do not delete it: {cure}"
    )
    says = version_says(case, version)
    reason = "RegionFailed" if failed else "UpdateFailed"
    return stalled(case, reason, message, says=says, **version_fields(case, version))


def source_gone(case: Case) -> Wait:
    """Write the receipt: the image's absence was seen just now."""
    return _wait(case, receipts.written(case))


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
    summary, after = _summary(case, sentence, fields)
    deletion = (case.migration.status.deletion or Deletion()).model_copy(update={"receipt": receipt, "request": None})
    fields |= {"deletion": deletion, "operation": _open(fields)}
    return Wait(compose(case.migration, summary, now=case.now, says=says, **fields), after)


def _summary(case: Case, sentence: str, fields: Mapping[str, Any]) -> tuple[Summary, timedelta]:
    """Return Completed, or that regions which were added later are on their way."""
    if isinstance(case.facts.version, Found) and built_from_source(case, case.facts.version.value):
        version = case.facts.version.value
        lagging = regions.incomplete(case.migration.spec.version, version)
        if lagging or version.provisioning_state != SUCCEEDED:
            message = f"{sentence}; waiting for {', '.join(lagging) or 'the version'}"
            after = pace.next_look(fields["replication"].regions, case.now, case.timing)
            waits = Summary(Phase.REPLICATING, "Replicating", message)
            return stuck.summary(case, fields["replication"].regions) or waits, after
    summary = Summary(Phase.COMPLETED, "Completed", f"Completed: {sentence}.", reached=EVERYTHING)
    return summary, case.timing.complete


def _open(fields: Mapping[str, Any]) -> Operation | None:
    """Return the announcement of an update that does not show yet; that of the deletion is over."""
    operation: Operation | None = fields.get("operation")
    return None if operation and operation.action is ActionName.DELETE_IMAGE else operation
