"""The version is not there: check the image, see to the definition, build.

The order of the looks is that of the questions: is there something to build from, may it
be built, is the definition right. A version that was there before and has vanished is
built again within a budget; what was verified of the old one does not count for it.
"""

from collections.abc import Mapping
from typing import Any

from imageferry.api.status import (
    ActionName,
    DefinitionStatus,
    ErrorStatus,
    Phase,
    Severity,
    SourceStatus,
    Status,
    VersionStatus,
)
from imageferry.migration import claims, definitions, edits, identity, preflight, regions, requests, verification
from imageferry.migration.claims import Claim
from imageferry.migration.errors import BackOffError
from imageferry.migration.facts import UNSEEN, Found, GalleryDefinition, ManagedImage, What
from imageferry.migration.guards import SUCCEEDED
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


def decide(case: Case) -> Step:
    """Return the next step towards a build."""
    if case.announced(ActionName.CREATE_VERSION):
        return _disbelieve(
            case, Phase.CREATING, "CreatingVersion", "the version was requested; Azure does not show it yet"
        )
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


def _disbelieve(case: Case, phase: Phase, reason: str, message: str) -> Wait:
    status = _status(case, Summary(phase, reason, message), error=unresolved(case))
    return Wait(status, case.soon)


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
    source = source_status(image)
    if image.provisioning_state == "Failed":
        message = f"spec.source.managedImageId: the image {image.id} is Failed; create it anew"
        return _preflight_stall(case, "SourceFailed", message, source=source)
    if image.provisioning_state != SUCCEEDED:
        message = f"the image is {image.provisioning_state}; waiting until it is {SUCCEEDED}"
        summary = Summary(Phase.CHECKING, "SourceNotSettled", message)
        return Wait(_status(case, summary, source=source), case.timing.soon * 3)
    found = preflight.examine(case.migration, image, now=case.now)
    if found and found[0].severity is Severity.BLOCKS:
        shown = [finding.status for finding in found]
        return _preflight_stall(case, found[0].reason, found[0].message, source=source, findings=shown)
    return _see_definition(case, image)


def _see_definition(case: Case, image: ManagedImage) -> Step:
    match case.facts.definition:
        case Found(definition):
            return _check_definition(case, image, definition)
        case _ if case.facts.definition is UNSEEN:
            return Look(What.DEFINITION)
    if case.announced(ActionName.CREATE_DEFINITION):
        return _disbelieve(
            case, Phase.DEFINING, "CreatingDefinition", "the definition was requested; Azure does not show it yet"
        )
    return _create_definition(case, image)


def _create_definition(case: Case, image: ManagedImage) -> Step:
    if case.facts.gallery is UNSEEN:
        return Look(What.GALLERY)
    if not isinstance(case.facts.gallery, Found):
        return _create_gallery(case, image)
    gallery = case.facts.gallery.value
    if holder := claims.holder(Claim.DEFINITION, case.migration, case.context.peers):
        return waiting(case, Claim.DEFINITION, holder, says=not_built("WaitingForDefinition"), **_seen(case, image))
    finding = preflight.end_of_life("definition", case.migration.spec.definition.end_of_life_date, now=case.now)
    if finding:
        return _preflight_stall(case, finding.reason, finding.message, source=source_status(image))
    if gallery.provisioning_state not in (SUCCEEDED, "Updating"):
        summary = Summary(Phase.DEFINING, "CreatingGallery", f"the gallery is {gallery.provisioning_state}")
        return Wait(_status(case, summary, **_seen(case, image)), case.timing.soon)
    wanted = DefinitionStatus(
        id=requests.definition_id(case.migration), applied=edits.definition_wanted(case.migration.spec.definition)
    )
    summary = Summary(Phase.DEFINING, "CreatingDefinition", "the definition is requested")
    says = {PREFLIGHT: _passed(case, image)}
    status = _status(case, summary, says=says, definition=wanted, **_seen(case, image))
    action = requests.create_definition(case.migration, image, gallery, cluster=case.context.cluster)
    return Act(action, status, case.next_attempt(action.name))


def _create_gallery(case: Case, image: ManagedImage) -> Step:
    """Create the gallery where the spec allows it."""
    gallery = case.migration.spec.gallery
    if gallery.create is None:
        finding = preflight.gallery_missing(case.migration)
        return _preflight_stall(case, finding.reason, finding.message, source=source_status(image))
    if case.announced(ActionName.CREATE_GALLERY):
        told = "the gallery was requested; Azure does not show it yet"
        return _disbelieve(case, Phase.DEFINING, "CreatingGallery", told)
    if holder := claims.holder(Claim.GALLERY, case.migration, case.context.peers):
        return waiting(case, Claim.GALLERY, holder, says=not_built("WaitingForGallery"), **_seen(case, image))
    summary = Summary(Phase.DEFINING, "CreatingGallery", "the gallery is requested")
    status = _status(case, summary, says={PREFLIGHT: _passed(case, image)}, **_seen(case, image))
    action = requests.create_gallery(case.migration, gallery.create, cluster=case.context.cluster)
    return Act(action, status, case.next_attempt(action.name))


def _seen(case: Case, image: ManagedImage) -> dict[str, Any]:
    """Return the fields that come from the image, and none of a version; an announcement is over at the next step."""
    found = preflight.examine(case.migration, image, now=case.now)
    return {
        "source": source_status(image),
        "findings": [finding.status for finding in found] or None,
        "operation": None,
        "replication": None,
    }


def _check_definition(case: Case, image: ManagedImage, definition: GalleryDefinition) -> Step:
    if finding := definition_finding(case, image, definition):
        return _definition_stall(case, "DefinitionMismatch", finding, source=source_status(image))
    if definition.provisioning_state == "Failed":
        finding = f"spec.definition.name: the definition {definition.id} is Failed; delete it, and it is created again"
        return _definition_stall(case, "DefinitionFailed", finding, source=source_status(image))
    if definition.provisioning_state != SUCCEEDED:
        summary = Summary(Phase.DEFINING, "CreatingDefinition", "the definition is requested")
        return Wait(_status(case, summary), case.timing.soon)
    return _build(case, image, definition)


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


def _build(case: Case, image: ManagedImage, definition: GalleryDefinition) -> Step:
    before = case.migration.status.version
    builds = (before.attempts if before else None) or 0
    says = {PREFLIGHT: _passed(case, image), **definition_says(definition)}
    common = {**_seen(case, image), "definition": definition_status(case, definition)}
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
    voided = verification.judge_unproven(case.migration.status, now=case.now)
    spec = case.migration.spec.version
    applied = edits.version_wanted(spec, regions.wanted(spec, image.location), joined=False)
    status = _status(
        case,
        Summary(Phase.CREATING, "CreatingVersion", "the version is requested"),
        says=says,
        verified=voided.condition,
        verification=voided.verification,
        proof=None,
        deletion=None,
        version=VersionStatus(id=requests.version_id(case.migration), attempts=builds or None, applied=applied),
        **common,
    )
    action = requests.create_version(case.migration, image, cluster=case.context.cluster)
    return Act(action, status, case.next_attempt(action.name))


def _status(case: Case, summary: Summary, *, says: Mapping[str, Says] | None = None, **fields: Any) -> Status:  # noqa: ANN401 - as `compose`
    """Compose a status that claims no version, whatever was said before: siblings trust what stands there."""
    told = not_built(summary.reason) | dict(says or {})
    return compose(case.migration, summary, now=case.now, says=told, **{"replication": None, **fields})


def _preflight_stall(case: Case, reason: str, message: str, **fields: Any) -> Wait:  # noqa: ANN401 - as `stalled`
    says = {PREFLIGHT: Says(FALSE, reason, message), **not_built(reason)}
    return stalled(case, reason, message, says=says, **{"replication": None, **fields})


def _definition_stall(case: Case, reason: str, message: str, **fields: Any) -> Wait:  # noqa: ANN401 - as `stalled`
    says = {DEFINITION_READY: Says(FALSE, reason, message), **not_built(reason)}
    return stalled(case, reason, message, says=says, **{"replication": None, **fields})


def not_built(reason: str) -> dict[str, Says]:
    """Return what is said while there is no version, whatever was said before."""
    return {kind: Says(FALSE, reason, "there is no version yet") for kind in (VERSION_READY, REPLICATED)}


def _passed(case: Case, image: ManagedImage) -> Says:
    warnings = [finding.message for finding in preflight.examine(case.migration, image, now=case.now)]
    return Says(TRUE, "Passed", "; ".join(["the image, the gallery and the definition fit together", *warnings]))
