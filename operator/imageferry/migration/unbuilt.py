"""The version is not there: check the image, see to the definition, build.

The order of the looks is that of the questions: is there something to build from, may it
be built, is the definition right. A version that was there before and has vanished is
built again within a budget; what was verified of the old one does not count for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from imageferry.api.extras import GalleryCreation
from imageferry.api.status import (
    DefinitionStatus,
    Deletion,
    ErrorStatus,
    FindingStatus,
    Phase,
    Severity,
    SourceStatus,
    Status,
    VersionStatus,
)
from imageferry.migration import (
    claims,
    definitions,
    edits,
    findings,
    identity,
    inquiry,
    preflight,
    regions,
    requests,
    surroundings,
    verification,
)
from imageferry.migration.claims import Claim
from imageferry.migration.errors import BackOffError
from imageferry.migration.facts import UNSEEN, Found, Gallery, GalleryDefinition, ManagedImage, What
from imageferry.migration.guards import SUCCEEDED
from imageferry.migration.preflight import Finding
from imageferry.migration.report import (
    DEFINITION_READY,
    FALSE,
    PREFLIGHT,
    REPLICATED,
    TRUE,
    VERSION_READY,
    Says,
    Summary,
    compose,
)
from imageferry.migration.stall import stalled, waiting
from imageferry.migration.steps import Act, Case, Look, Step, Wait
from imageferry.migration.tracking import definition_says, definition_status

BUILD_BUDGET = 3
LONGEST = 4096
"""Characters of a message that tells several findings."""


def decide(case: Case) -> Step:
    """Return the next step towards a build."""
    if case.doubts(What.VERSION):
        return _disbelieve(case, What.VERSION)
    match case.facts.image:
        case Found(image):
            return _check_image(case, image)
        case _ if case.facts.image is UNSEEN:
            return Look(What.IMAGE)
    return _without_image(case)


def source_status(image: ManagedImage) -> SourceStatus:
    """Return the image as the status shows it."""
    return SourceStatus(
        id=image.id,
        location=image.location,
        os_type=image.os_type,
        hyper_v_generation=image.generation,
        size_gb=sum(disk.size_gb or 0 for disk in image.disks),
        data_disks=len(image.data_disks),
        fingerprint=identity.fingerprint(image),
    )


_DENIED = {
    What.GALLERY: Summary(Phase.DEFINING, "CreatingGallery", "the gallery was requested; Azure does not show it yet"),
    What.DEFINITION: Summary(
        Phase.DEFINING, "CreatingDefinition", "the definition was requested; Azure does not show it yet"
    ),
    What.VERSION: Summary(
        Phase.CREATING, "CreatingVersion", "the version was requested or seen; Azure does not show it now"
    ),
}


def _disbelieve(case: Case, what: What) -> Wait:
    """Wait until Azure shows what is known to be there, or has denied it for long; all that is known of it stays."""
    before = case.migration.status
    status = _status(
        case,
        _DENIED[what],
        operation=before.operation,
        definition=before.definition,
        version=before.version,
        error=unresolved(case),
    )
    return Wait(status, case.soon)


def _vanished(case: Case) -> dict[str, Any]:
    """Return the fields of a version whose absence is believed: nothing of it is known any more but the builds."""
    before = case.migration.status.version
    attempts = before.attempts if before else None
    version = VersionStatus(id=requests.version_id(case.migration), attempts=attempts) if attempts else None
    return {"operation": None, "version": version, "replication": None}


def unresolved(case: Case) -> ErrorStatus | None:
    """Return the failure after which nobody knows yet whether the announced mutation took effect."""
    error = case.migration.status.error
    return error if error and error.kind == BackOffError.kind else None


def _without_image(case: Case) -> Step:
    image = case.migration.spec.source.managed_image_id
    message = (
        f"spec.source.managedImageId: there is no image {image}, and no version {case.migration.spec.version.name} "
        "built from it either; correct the id in a new ImageMigration, or create the image"
    )
    return _preflight_stall(case, "SourceMissing", message)


def _check_image(case: Case, image: ManagedImage) -> Step:
    if image.provisioning_state == "Failed":
        message = f"spec.source.managedImageId: the image {image.id} is Failed; create it anew"
        return _preflight_stall(case, "SourceFailed", message, source=source_status(image))
    if image.provisioning_state != SUCCEEDED:
        message = f"the image is {image.provisioning_state}; waiting until it is {SUCCEEDED}"
        return _await(case, "SourceNotSettled", message, source=source_status(image))
    checked = _Checked(image, preflight.examine(case.migration, image, now=case.now))
    return _refused(case, checked) or _see_definition(case, checked)


def _see_definition(case: Case, checked: "_Checked") -> Step:
    match case.facts.definition:
        case Found(definition):
            return _check_definition(case, checked, definition)
        case _ if case.facts.definition is UNSEEN:
            return Look(What.DEFINITION)
    if case.doubts(What.DEFINITION):
        return _disbelieve(case, What.DEFINITION)
    return _create_definition(case, checked)


def _create_definition(case: Case, checked: "_Checked") -> Step:
    if case.facts.gallery is UNSEEN:
        return Look(What.GALLERY)
    if not isinstance(case.facts.gallery, Found):
        return _create_gallery(case, checked)
    gallery = case.facts.gallery.value
    unseen = DefinitionStatus(id=requests.definition_id(case.migration))
    if holder := claims.holder(Claim.DEFINITION, case.migration, case.context.peers):
        says = not_built("WaitingForDefinition")
        return waiting(case, Claim.DEFINITION, holder, says=says, definition=unseen, **_seen(case, checked))
    if gallery.provisioning_state not in (SUCCEEDED, "Updating"):
        summary = Summary(Phase.DEFINING, "CreatingGallery", f"the gallery is {gallery.provisioning_state}")
        return Wait(_status(case, summary, definition=unseen, **_seen(case, checked)), case.timing.soon)
    if case.doubts(What.DEFINITION, others=True):
        return _disbelieve(case, What.DEFINITION)
    return _request_definition(case, checked, gallery)


def _request_definition(case: Case, checked: "_Checked", gallery: Gallery) -> Step:
    end = preflight.end_of_life("definition", case.migration.spec.definition.end_of_life_date, now=case.now)
    unseen = DefinitionStatus(id=requests.definition_id(case.migration))
    if end:
        return _preflight_stall(case, end.reason, end.message, definition=unseen, **_seen(case, checked.plus(end)))
    checked, step = _look_around(case, checked, definition=unseen)
    if step:
        return step
    wanted = unseen.model_copy(update={"applied": edits.definition_wanted(case.migration.spec.definition)})
    summary = Summary(Phase.DEFINING, "CreatingDefinition", "the definition is requested")
    says = {PREFLIGHT: _passed(case, checked)}
    status = _status(case, summary, says=says, definition=wanted, **_seen(case, checked))
    plan = surroundings.purchase_plan(case.migration, case.facts)
    action = requests.create_definition(case.migration, checked.image, gallery, plan=plan, cluster=case.context.cluster)
    return Act(action, status, case.next_attempt(action.name))


def _create_gallery(case: Case, checked: "_Checked") -> Step:
    """Create the gallery where the spec allows it."""
    gallery = case.migration.spec.gallery
    if gallery.create is None:
        missing = preflight.gallery_missing(case.migration)
        seen = _seen(case, checked.plus(missing))
        return _preflight_stall(case, missing.reason, missing.message, definition=None, **seen)
    if case.doubts(What.GALLERY):
        return _disbelieve(case, What.GALLERY)
    if holder := claims.holder(Claim.GALLERY, case.migration, case.context.peers):
        says = not_built("WaitingForGallery")
        return waiting(case, Claim.GALLERY, holder, says=says, definition=None, **_seen(case, checked))
    return _request_gallery(case, checked, gallery.create)


def _request_gallery(case: Case, checked: "_Checked", wanted: GalleryCreation) -> Step:
    if case.doubts(What.GALLERY, others=True):
        return _disbelieve(case, What.GALLERY)
    checked, step = _look_around(case, checked, definition=None)
    if step:
        return step
    summary = Summary(Phase.DEFINING, "CreatingGallery", "the gallery is requested")
    says = {PREFLIGHT: _passed(case, checked)}
    status = _status(case, summary, says=says, definition=None, **_seen(case, checked))
    action = requests.create_gallery(case.migration, wanted, cluster=case.context.cluster)
    return Act(action, status, case.next_attempt(action.name))


def _check_definition(case: Case, checked: "_Checked", definition: GalleryDefinition) -> Step:
    if finding := definition_finding(case, checked.image, definition):
        return _definition_stall(case, checked, preflight.blocks("DefinitionMismatch", finding), definition)
    if definition.provisioning_state == "Failed":
        finding = f"spec.definition.name: the definition {definition.id} is Failed; delete it, and it is created again"
        return _definition_stall(case, checked, preflight.blocks("DefinitionFailed", finding), definition)
    if definition.provisioning_state != SUCCEEDED:
        summary = Summary(Phase.DEFINING, "CreatingDefinition", "the definition is requested")
        return Wait(_status(case, summary, definition=definition_status(case, definition)), case.timing.soon)
    return _build(case, checked, definition)


@dataclass(frozen=True, slots=True)
class _Checked:
    """The image, and all that was found so far, what blocks first."""

    image: ManagedImage
    found: tuple[Finding, ...] = ()

    def plus(self, *more: Finding) -> "_Checked":
        return replace(self, found=preflight.ordered((*self.found, *more)))


def _look_around(case: Case, checked: _Checked, *, definition: DefinitionStatus | None) -> tuple[_Checked, Step | None]:
    """Look at what lies around, once and before the first write; a step comes where that is not the end of it."""
    if case.facts.surroundings is UNSEEN and inquiry.of(case.migration, case.facts):
        return checked, Look(What.SURROUNDINGS)
    checked = checked.plus(*surroundings.examine(case.migration, checked.image, case.facts))
    if step := _refused(case, checked, definition=definition):
        return checked, step
    if busy := surroundings.busy(checked.found):
        return checked, _await(case, busy.reason, busy.message, definition=definition, **_seen(case, checked))
    return checked, None


def _refused(case: Case, checked: _Checked, **fields: Any) -> Wait | None:  # noqa: ANN401 - as `compose`
    """Stall where something blocks; every blocking finding is told at once."""
    found = preflight.blocking(checked.found)
    if not found:
        return None
    message = "; ".join(finding.message for finding in found)[:LONGEST]
    return _preflight_stall(case, found[0].reason, message, **(_seen(case, checked) | fields))


def _await(case: Case, reason: str, message: str, **fields: Any) -> Wait:  # noqa: ANN401 - as `compose`
    summary = Summary(Phase.CHECKING, reason, message)
    return Wait(_status(case, summary, **fields), case.timing.soon * 3)


def _seen(case: Case, checked: _Checked) -> dict[str, Any]:
    """Return the fields that come from the image, and none of a version."""
    return {
        "source": source_status(checked.image),
        "findings": _findings(case, checked) or None,
        **_vanished(case),
    }


def _findings(case: Case, checked: _Checked) -> list[FindingStatus]:
    """Return what was found, with what was found around before and is not looked at again."""
    now = [finding.status for finding in checked.found]
    if case.facts.surroundings is not UNSEEN:
        return now
    before = case.migration.status.findings or ()
    return now + [f for f in before if f.reason in findings.AROUND and f.severity is not Severity.BLOCKS]


def definition_finding(case: Case, image: ManagedImage, definition: GalleryDefinition) -> str | None:
    """Return what is wrong with an existing definition, and the cure; None when it fits."""
    wrong = definitions.differences(case.migration.spec.definition, image, definition)
    if not wrong:
        return None
    text = "; ".join(str(difference) for difference in wrong)
    return (
        f"spec.definition.name: the definition {case.migration.spec.definition.name} exists and does not fit: {text}. "
        "None of these can be changed in Azure: name another definition in a new ImageMigration, or delete this one"
    )


def _build(case: Case, checked: _Checked, definition: GalleryDefinition) -> Step:
    before = case.migration.status.version
    builds = (before.attempts if before else None) or 0
    says = definition_says(definition)
    shown = definition_status(case, definition)
    common = {**_seen(case, checked), "definition": shown}
    if builds >= BUILD_BUDGET:
        message = (
            f"spec.version.name: version {case.migration.spec.version.name} was built {builds} times and is not there; "
            "find out in Azure what removes it, then delete and apply this ImageMigration anew"
        )
        return stalled(case, "BuildBudgetExhausted", message, says=says | not_built("BuildBudgetExhausted"), **common)
    for claim in (Claim.VERSION, Claim.SOURCE):
        if holder := claims.holder(claim, case.migration, case.context.peers):
            says |= not_built(f"WaitingFor{claim.title()}")
            return waiting(case, claim, holder, says=says, **common)
    if case.facts.gallery is UNSEEN and not inquiry.just_created(case.migration, definition):
        return Look(What.GALLERY)
    if case.doubts(What.VERSION, others=True):
        return _disbelieve(case, What.VERSION)
    checked, step = _look_around(case, checked, definition=shown)
    if step:
        return step
    says, image = says | {PREFLIGHT: _passed(case, checked)}, checked.image
    common |= _seen(case, checked)
    voided = verification.judge_unproven(case.migration.status, now=case.now)
    spec = case.migration.spec.version
    applied = edits.version_wanted(spec, regions.wanted(spec, image.location), joined=False)
    version = VersionStatus(id=requests.version_id(case.migration), attempts=builds or None, applied=applied)
    status = _status(
        case,
        Summary(Phase.CREATING, "CreatingVersion", "the version is requested"),
        says=says,
        verified=voided.condition,
        verification=voided.verification,
        proof=None,
        deletion=unproven(case.migration.status),
        **common | {"version": version},
    )
    action = requests.create_version(case.migration, image, cluster=case.context.cluster)
    return Act(action, status, case.next_attempt(action.name))


def _status(case: Case, summary: Summary, *, says: Mapping[str, Says] | None = None, **fields: Any) -> Status:  # noqa: ANN401 - as `compose`
    """Compose a status that claims no version, whatever was said before: siblings trust what stands there."""
    told = not_built(summary.reason) | dict(says or {})
    return compose(case.migration, summary, now=case.now, says=told, **(_vanished(case) | fields))


def _preflight_stall(case: Case, reason: str, message: str, **fields: Any) -> Wait:  # noqa: ANN401 - as `stalled`
    says = {PREFLIGHT: Says(FALSE, reason, message), **not_built(reason)}
    found = [preflight.blocks(reason, message).status]
    return stalled(case, reason, message, says=says, **(_vanished(case) | {"findings": found} | fields))


def _definition_stall(case: Case, checked: _Checked, found: Finding, definition: GalleryDefinition) -> Wait:
    failed = Says(FALSE, found.reason, found.message)
    says = {PREFLIGHT: failed, DEFINITION_READY: failed, **not_built(found.reason)}
    seen = _seen(case, checked.plus(found)) | {"definition": definition_status(case, definition)}
    return stalled(case, found.reason, found.message, says=says, **seen)


def not_built(reason: str) -> dict[str, Says]:
    """Return what is said while there is no version, whatever was said before."""
    return {kind: Says(FALSE, reason, "there is no version yet") for kind in (VERSION_READY, REPLICATED)}


def unproven(status: Status) -> Deletion | None:
    """Return what stays said of the image's deletion when there is no proof any more: that it was requested."""
    requested = status.deletion.requested_at if status.deletion else None
    return Deletion(requested_at=requested) if requested else None


def _passed(case: Case, checked: _Checked) -> Says:
    told = [f"{each.severity}: {each.message}" for each in _findings(case, checked)]
    return Says(TRUE, "Passed", "; ".join(["the image, the gallery and the definition fit together", *told])[:LONGEST])
