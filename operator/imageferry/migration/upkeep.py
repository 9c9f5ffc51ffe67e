"""Edits of the spec while the version is there: more regions, other counts, latest, tags, end of life.

They are carried out before and after the deletion of the source alike. A version or a
definition that somebody else created is not edited; only wanted regions are added to it,
and not even those where it belongs to another cluster.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from imageferry.api.status import ActionName, Phase
from imageferry.migration import claims, edits, identity, preflight, regions, requests
from imageferry.migration.claims import Claim
from imageferry.migration.edits import Edit
from imageferry.migration.facts import UNSEEN, Found, GalleryVersion, What
from imageferry.migration.guards import SUCCEEDED
from imageferry.migration.preflight import Finding
from imageferry.migration.regions import FAILED
from imageferry.migration.report import FALSE, REPLICATED, Says, Summary, compose
from imageferry.migration.stall import stalled, waiting
from imageferry.migration.steps import Act, Case, Look, Step, Wait
from imageferry.migration.tracking import (
    definition_applied,
    definition_edits,
    left_open,
    version_edits,
    version_fields,
    version_says,
)

ATTEMPTS = 3
"""Updates that Azure accepts and does not show: then somebody else writes the same fields."""

DELETING = "Deleting"

ENDS = {edits.END_OF_LIFE: "version", edits.DEFINITION_END: "definition"}
"""Fields that Azure takes only while they lie ahead, and the part of the spec that they are in."""


def definition(case: Case, version: GalleryVersion) -> Step | None:
    """Return the step that brings the definition up to an edited spec; None when there is nothing to do."""
    operation, applied = case.migration.status.operation, definition_applied(case)
    is_open = operation is not None and operation.action is ActionName.UPDATE_DEFINITION
    settled = applied in (None, edits.definition_wanted(case.migration.spec.definition))
    if settled and not is_open:
        return None
    if case.facts.definition is UNSEEN:
        return Look(What.DEFINITION)
    if not isinstance(case.facts.definition, Found):
        return None
    there = case.facts.definition.value
    changes = definition_edits(case, there)
    if not changes:
        return None
    action = requests.update_definition(case.migration, there, changes, now=case.now)
    blocked = _blocked(case, version, past_ends(changes, now=case.now))
    return blocked or _update(case, version, action, _told(changes))


def version(case: Case, there: GalleryVersion) -> Step | None:
    """Return the step that brings the version up to the spec; None when it is."""
    missing, changes = regions.missing(case.migration.spec.version, there), version_edits(case, there)
    if not missing and not changes:
        return None
    if blocked := _blocked(case, there, findings(case, there)):
        return blocked
    if holder := claims.holder(Claim.VERSION, case.migration, case.context.peers):
        return waiting(case, Claim.VERSION, holder, says=version_says(case, there), **version_fields(case, there))
    action = requests.update_version(case.migration, there, changes, now=case.now)
    names = ", ".join(region.name for region in missing)
    told = "; ".join(part for part in (f"adding {names}" if names else "", _told(changes)) if part)
    return _update(case, there, action, told)


def findings(case: Case, there: GalleryVersion) -> Iterator[Finding]:
    """Give what stops an update of the version before it is sent."""
    names = ", ".join(region.name for region in regions.missing(case.migration.spec.version, there))
    owner = there.tags.get(identity.CLUSTER_TAG)
    if names and owner not in (None, case.context.cluster):
        yield preflight.blocks(
            "VersionOwnedElsewhere",
            f"spec.version.targetRegions: {names} is wanted, and the version belongs to another cluster ({owner}); "
            "add the region there, or take it out of this spec",
        )
    yield from past_ends(version_edits(case, there), now=case.now)


def past_ends(changes: Iterable[Edit], *, now: datetime) -> Iterator[Finding]:
    """Give the ends of life that an update would carry and that have passed."""
    for change in changes:
        if change.field in ENDS and (finding := preflight.end_of_life(ENDS[change.field], change.after, now=now)):
            yield finding


def _blocked(case: Case, there: GalleryVersion, found: Iterator[Finding]) -> Wait | None:
    finding = next(found, None)
    if finding is None:
        return None
    says = version_says(case, there)
    return stalled(case, finding.reason, finding.message, says=says, **version_fields(case, there))


def is_failed(case: Case, there: GalleryVersion) -> bool:
    """Whether nothing but a person can help: a region failed, or an update did and the spec asks for no other.

    A version that failed in an update and is Completed somewhere takes another update.
    """
    spec = case.migration.spec.version
    if there.provisioning_state == DELETING or left_open(case, there):
        return False  # it goes, perhaps by our hand; and what a repair has opened is closed first
    if regions.failed(spec, there):
        return True
    edited = regions.completed(spec, there) and (version_edits(case, there) or regions.missing(spec, there))
    return there.provisioning_state == FAILED and not edited


def takes_updates(there: GalleryVersion) -> bool:
    """Whether Azure is through with the last write, well or not."""
    return there.provisioning_state in (SUCCEEDED, FAILED)


def _update(case: Case, there: GalleryVersion, action: requests.Action, told: str) -> Step:
    summary = Summary(Phase.REPLICATING, "Updating", told)
    says = version_says(case, there)
    if regions.missing(case.migration.spec.version, there):
        says[REPLICATED] = Says(FALSE, "AddingRegions", told)
    status = compose(case.migration, summary, now=case.now, says=says, **version_fields(case, there))
    if case.announced(action.name):
        return Wait(status, case.timing.building)
    if never := _not_shown(case, there, action.name, told):
        return never
    return Act(action, status, case.next_attempt(action.name), case.context.completion)


def _not_shown(case: Case, there: GalleryVersion, name: ActionName, told: str) -> Wait | None:
    """Stop what somebody else keeps undoing."""
    operation = case.migration.status.operation
    edited = case.migration.status.observed_generation != case.migration.metadata.generation
    if not operation or operation.action is not name or operation.attempt < ATTEMPTS or edited:
        return None
    message = (
        f"{operation.resource} was updated {operation.attempt} times and does not show it ({told}); find out "
        "in Azure who else writes it, or take the field out of this spec"
    )
    fields: dict[str, Any] = version_fields(case, there) | {"operation": operation}
    return stalled(case, "UpdateDoesNotShow", message, says=version_says(case, there), **fields)


def _told(changes: Iterable[Edit]) -> str:
    text = "; ".join(str(change) for change in changes)
    return text if len(text) < 500 else f"{text[:500]}…"  # noqa: PLR2004 - a status is for people
